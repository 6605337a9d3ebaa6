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

// An upload in parts that is under way, or was given up.
struct PartialUpload {
    std::string key;
    std::string id;
};

// Throws base::Error where it is no such answer.
Listing parse_listing(std::string_view xml);
// The same for ListMultipartUploads.
std::vector<PartialUpload> parse_uploads(std::string_view xml);
// From the answer to CreateMultipartUpload.
std::string upload_id(const std::string& xml);

// "CODE: MESSAGE" of an error's XML; the text's beginning where it is none.
std::string error_text(const std::string& body);

}  // namespace s3
