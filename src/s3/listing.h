#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace s3 {

struct Object {
    std::string key;
    uint64_t size = 0;
};

// One answer of ListObjectsV2.
struct Listing {
    std::vector<Object> objects;
    std::string next;  // the continuation token of what follows; empty: nothing does
};

// Throws base::Error where it is no such answer.
Listing parse_listing(std::string_view xml);

// "CODE: MESSAGE" of an error's XML; the text's beginning where it is none.
std::string error_text(const std::string& body);

}  // namespace s3
