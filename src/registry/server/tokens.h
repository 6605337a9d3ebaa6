#pragma once

#include <string>

namespace registry::server {

// A new personal access token: 256 random bits, so that it can neither be guessed nor derived from its hash.
std::string new_token();

// What is stored of a token: the hex digits of its SHA-256.
std::string token_hash(const std::string& token);

}  // namespace registry::server
