#pragma once

#include <filesystem>

#include "base/fd.h"

namespace base {

// A file that appears under its name only when it is whole. It is written as a temporary file in the same folder (NAME.PID-N.part); the
// destructor removes what was not committed, since an error on the way must not leave a half file.
class AtomicFile {
public:
    // Throws SystemError. `mode` is subject to the umask.
    explicit AtomicFile(std::filesystem::path path, mode_t mode = 0644);
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    int fd() const { return fd_.get(); }

    // Makes the data durable and puts the file under its name, replacing what was there. Throws SystemError.
    void commit();

private:
    std::filesystem::path path_;
    std::filesystem::path temporary_;
    UniqueFd fd_;
};

}  // namespace base
