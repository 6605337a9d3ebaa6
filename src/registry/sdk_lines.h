#pragma once

#include <string>

namespace registry {

// What to paste into requestor code, and into a shell, for an image of a registry (`url`): by its tag, or by its hash where `tag` is empty.
struct SdkLines {
    std::string yapapi;       // a statement of Python
    std::string golem_js;     // a key of an order
    std::string environment;  // what golem-js needs besides, "K=V"; empty for the public registry
    std::string pull;         // a command
};

// The URL by which SDKs find private images: with the user and the word TOKEN, to be replaced.
std::string with_login(const std::string& url, const std::string& user);

SdkLines sdk_lines(const std::string& url, const std::string& tag, const std::string& sha3);

}  // namespace registry
