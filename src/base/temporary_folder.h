#pragma once

#include <filesystem>

namespace base {

// A new folder, removed with all that is in it.
class TemporaryFolder {
public:
    // In the system's temporary folder ($TMPDIR, else /tmp) unless told otherwise. Throws base::SystemError.
    explicit TemporaryFolder(const std::filesystem::path& parent = std::filesystem::temp_directory_path());
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

}  // namespace base
