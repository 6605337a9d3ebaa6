#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/rotated_file.h"

namespace runtime {

// A file in W/logs/ for endless output of a guest: its console, its entrypoint. The latest 8 to 16 MiB are kept, in two files. An
// unwritable file is reported once in our log and otherwise tolerated.
class GuestLog {
public:
    static constexpr size_t kMaxFile = 8 << 20;

    explicit GuestLog(const std::filesystem::path& file) : file_(file, kMaxFile, 1) {}

    void write(std::string_view text);

private:
    base::RotatedFile file_;
    bool failed_ = false;
};

}  // namespace runtime
