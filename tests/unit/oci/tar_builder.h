#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "oci/stream.h"

namespace test {

// One entry of a tar as its bytes say it, with no check of any kind, so that hostile ones can be made.
struct Entry {
    std::string path;
    char type = '0';  // ustar's
    std::string content = {};
    std::string target = {};
    unsigned mode = 0644;
    uint64_t uid = 0;
    uint64_t gid = 0;
    uint64_t mtime = 0;
    unsigned major = 0;
    unsigned minor = 0;
    std::map<std::string, std::string> pax = {};  // records of a PAX header before it
    std::string size = {};                        // the size field's 12 bytes, where they are to differ from the content's size
};

// A tar of these entries with an end mark. Paths and targets longer than a ustar field go to the PAX header.
std::string make_tar(const std::vector<Entry>& entries, bool end_mark = true);

// The bytes of a text, in pieces of at most `piece`.
oci::StreamPtr stream_of(std::string text, size_t piece = 4096);

// The text compressed by the program. Equal texts give equal bytes.
std::string compress(const std::string& program, const std::string& text);

// The hash of a text, in hexadecimal digits.
std::string sha256(const std::string& text);

}  // namespace test
