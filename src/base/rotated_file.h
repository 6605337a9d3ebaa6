#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

#include "base/fd.h"

namespace base {

// An endless log in bounded space. A write that would exceed `max_bytes` first renames the file to NAME.1, NAME.1 to NAME.2, and so on;
// `kept` old files stay, at least 1. Appends to an existing file.
class RotatedFile {
public:
    RotatedFile(std::filesystem::path path, size_t max_bytes, unsigned kept);

    // Throws SystemError where the file cannot be written. The caller may try again: the next write reopens what is not open.
    void write(std::string_view data);

private:
    void open();
    void rotate();

    std::filesystem::path path_;
    size_t max_bytes_;
    unsigned kept_;
    UniqueFd file_;
    size_t size_ = 0;
};

}  // namespace base
