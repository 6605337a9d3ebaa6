#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "oci/stream.h"

namespace oci {

// The files of a folder or of a tar: an image's outer container. Shared by the layers that read from it.
class Files {
public:
    struct File {
        uint64_t size = 0;
        std::function<StreamPtr()> open;
    };

    Files() = default;
    virtual ~Files() = default;
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;

    // A regular file by its path inside ("blobs/sha256/1f…"), through links that stay inside; nothing where there is none.
    virtual std::optional<File> find(const std::string& path) const = 0;

    // Whether anything has that name, folders included.
    virtual bool has(const std::string& path) const = 0;
};

// Throws base::Error. A compressed tar is unpacked into an unnamed temporary file, of at most `limit` bytes.
std::shared_ptr<const Files> open_files(const std::filesystem::path& path, uint64_t limit = kDefaultLimit);

// Like open_files, for an open, uncompressed tar.
std::shared_ptr<const Files> open_tar(std::shared_ptr<const base::UniqueFd> fd, const std::string& name);

// The content of a small file (4 MiB) of an image's outer container. Throws base::Error that names it.
std::string read_small(const Files& files, const std::string& path);

}  // namespace oci
