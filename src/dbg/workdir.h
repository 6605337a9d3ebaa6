#pragma once

#include <filesystem>
#include <optional>

#include "base/temporary_folder.h"

namespace dbg {

// The folder for a VM's files: the given one, made if it is missing, or a temporary one that the destructor removes.
class Workdir {
public:
    // An empty path asks for a temporary folder. Throws base::Error.
    explicit Workdir(const std::filesystem::path& wanted);

    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
    std::optional<base::TemporaryFolder> temporary_;
};

}  // namespace dbg
