#pragma once

#include <filesystem>

namespace base {

// A new folder that the destructor removes with its contents; a failure to remove it is logged.
class TemporaryFolder {
public:
    // In the system's temporary folder ($TMPDIR, else /tmp) unless told otherwise, with a name that begins with `prefix`. Throws
    // base::SystemError.
    explicit TemporaryFolder(const std::filesystem::path& parent = std::filesystem::temp_directory_path(), const char* prefix = "gvmkit-");
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

}  // namespace base
