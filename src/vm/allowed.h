#pragma once

#include <filesystem>
#include <vector>

namespace vm {

// What a confined program may open by path. A folder includes everything below it; missing names are left out. Inherited descriptors stay
// usable.
struct Allowed {
    std::vector<std::filesystem::path> execute = {};     // files to read and execute
    std::vector<std::filesystem::path> read = {};        // files and folders to read
    std::vector<std::filesystem::path> read_write = {};  // folders in which files and folders, but no other types, may be made and changed
    std::vector<std::filesystem::path> devices = {};     // devices to read, write and control
    std::vector<std::filesystem::path> visible = {};     // folders whose names and metadata are there, and nothing else
};

}  // namespace vm
