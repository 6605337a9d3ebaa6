#pragma once

#include <functional>
#include <optional>
#include <string>

#include "gvmi/squashfs_reader.h"

namespace gvmi {

// Limits for a walk and for reading data; a stranger's image beyond them is refused.
struct Limits {
    uint64_t entries = 10'000'000;
    uint64_t bytes = uint64_t{64} << 30;  // of data that is not zeros
};

// Calls `visit` for the root (path "/") and everything below it, a directory before its contents, sorted by bytes. Calls `leave`, where
// given, for a directory after its contents. Throws base::Error, also for directories in a circle, paths longer than PATH_MAX or more
// entries than the limit.
struct Visitor {
    std::function<void(const std::string& path, const File& file)> visit;
    std::function<void(const std::string& path, const File& directory)> leave = {};
};
void walk(SquashfsReader& reader, const Limits& limits, const Visitor& visitor);
// Like walk, starting at a directory or file.
void walk(SquashfsReader& reader, const std::string& path, const File& file, const Limits& limits, const Visitor& visitor);

// "a//b/./c/" becomes "/a/b/c"; ".." removes a name.
std::string absolute_path(const std::string& path);

// The file at a path; symbolic links, including the last, are followed inside the image. Nothing where there is no such file.
std::optional<File> find(SquashfsReader& reader, const std::string& path, bool follow_last = true);

// A file's content, cut after `limit` bytes.
std::string read_start(SquashfsReader& reader, const File& file, size_t limit);

}  // namespace gvmi
