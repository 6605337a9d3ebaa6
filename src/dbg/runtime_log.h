#pragma once

#include "base/fd.h"

namespace dbg {

// The runtime's stderr: kept in memory, and shown where it explains a failure.
class RuntimeLog {
public:
    int fd() const { return file_.get(); }

    // Writes its last 16 KiB to our stderr.
    void show() const;

private:
    base::UniqueFd file_ = base::memory_file("log");
};

}  // namespace dbg
