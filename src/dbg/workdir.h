#pragma once

#include <filesystem>

namespace dbg {

// The folder that a VM's files go to: the one asked for, made if it is missing, or a temporary one that the destructor removes.
class Workdir {
public:
    // An empty path asks for a temporary folder. Throws base::Error.
    explicit Workdir(const std::filesystem::path& wanted);
    ~Workdir();
    Workdir(const Workdir&) = delete;
    Workdir& operator=(const Workdir&) = delete;

    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
    bool temporary_;
};

}  // namespace dbg
