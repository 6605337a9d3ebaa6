#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

#include "base/fd.h"

namespace base {

// A log that is written without end and takes bounded space: a write that would make it longer than `max_bytes` first renames it to
// NAME.1, what had that name to NAME.2, and so on; `kept` of these are kept, 1 at least. What the file already holds is added to.
class RotatedFile {
public:
    RotatedFile(std::filesystem::path path, size_t max_bytes, unsigned kept);

    // Throws SystemError where the file cannot be written. It may be tried again: the next write opens what is not open.
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
