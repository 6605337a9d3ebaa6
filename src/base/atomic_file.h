#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include "base/fd.h"

namespace base {

// A file that appears under its name only when it is complete. It is written as a file without a name in the same folder, so that nothing
// is left of a program that is killed; where the file system has no such files it is NAME.PID-N.part, which the destructor removes.
class AtomicFile {
public:
    // Throws SystemError. `mode` is subject to the umask.
    explicit AtomicFile(std::filesystem::path path, mode_t mode = 0644);
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    // For writers that need the descriptor; the AtomicFile keeps it.
    const UniqueFd& fd() const { return fd_; }

    // Appends. Throws SystemError that names the file.
    void write(std::span<const std::byte> data);
    void write(std::string_view text);

    // Puts the file under its name, replacing what was there. Data and name are on the disk when it returns. Throws SystemError.
    void commit();

private:
    // Calls make(name) with fresh names in the folder until one is free. Throws SystemError where it fails for another reason.
    template <typename F>
    void with_temporary_name(F&& make);
    std::filesystem::path folder() const;

    std::filesystem::path path_;
    std::filesystem::path temporary_;  // the name that it has until it is committed; empty: none
    UniqueFd fd_;
};

// Writes a file by AtomicFile. Throws SystemError.
void replace_file(const std::filesystem::path& path, std::string_view text, mode_t mode = 0644);

// Puts the names in a folder on the disk: a file that was synced may still lose its name. Throws SystemError.
void sync_folder(const std::filesystem::path& folder);

}  // namespace base
