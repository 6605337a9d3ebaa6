#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace test {

// What an inode says that unsquashfs's listing does not.
struct Look {
    uint32_t number = 0;
    uint32_t links = 0;
    std::map<std::string, std::string> attributes;
};

// Looks up `path` ("d/f"; empty: the root) in a squashfs. Throws base::Error where it is missing or cannot be read.
Look look(const std::string& squashfs, const std::string& path);

}  // namespace test
