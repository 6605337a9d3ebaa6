#pragma once

#include <filesystem>

#include "base/fd.h"

namespace base {

// A file that appears under its name only when it is whole. It is written as a file without a name in the same folder, so that nothing is
// left of a program that is killed; where the file system has no such files it is NAME.PID-N.part, which the destructor removes.
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
    // Calls make(name) with names of their own in the folder until one was free; throws SystemError where it fails otherwise.
    template <typename F>
    void with_temporary_name(F&& make);

    std::filesystem::path path_;
    std::filesystem::path temporary_;  // the name that it has until it is committed; empty: none
    UniqueFd fd_;
};

}  // namespace base
