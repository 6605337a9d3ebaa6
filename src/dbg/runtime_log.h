#pragma once

#include <fcntl.h>

#include <filesystem>

#include "base/fd.h"

namespace dbg {

// The runtime's stderr: kept in memory, or in a new file, and shown where it explains a failure.
class RuntimeLog {
public:
    // An empty path keeps it in memory. Throws SystemError.
    explicit RuntimeLog(const std::filesystem::path& file)
        : file_(file.empty() ? base::memory_file("log") : base::open_file(file, O_RDWR | O_APPEND | O_CREAT | O_EXCL, 0600)) {}

    int fd() const { return file_.get(); }

    // Writes its last 16 KiB to our stderr.
    void show() const;

private:
    base::UniqueFd file_;
};

}  // namespace dbg
