#pragma once

#include <filesystem>

#include "base/fd.h"

namespace base {

// A new folder that the destructor removes with its contents; a failure to remove it is logged. One that a killed process has left is
// removed by the next that is made in the same place with the same prefix: the folder of a living process is locked (flock(2)).
class TemporaryFolder {
public:
    // In the system's temporary folder ($TMPDIR, else /tmp) unless told otherwise, with a name of `prefix` and six more characters. Throws
    // base::SystemError.
    explicit TemporaryFolder(const std::filesystem::path& parent = std::filesystem::temp_directory_path(),
                             const char* prefix = "gvmkit-tmp-");
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
    UniqueFd lock_;
};

}  // namespace base
