#pragma once

#include <string>

namespace cli {

// Lines to paste into requestor code, for yapapi and golem-js. They refer to an image in a registry (`url`) by its tag, or by its hash
// where `tag` is empty.
std::string sdk_lines(const std::string& url, const std::string& tag, const std::string& sha3);

}  // namespace cli
