#pragma once

#include <string>
#include <string_view>

namespace http {

// RFC 3986: %XX for each byte that is neither a letter, a digit, one of -._~ nor one of `kept`.
std::string percent_encode(std::string_view text, std::string_view kept = {});

}  // namespace http
