#pragma once

#include <functional>
#include <optional>
#include <string>

#include "gvmi/squashfs_reader.h"

namespace gvmi {

// What a walk and the reading of data may come to; beyond it a stranger's image is refused.
struct Limits {
    uint64_t entries = 10'000'000;
    uint64_t bytes = uint64_t{64} << 30;  // of data that is not zeros
};

// Calls `visit` for the root (path "/") and all below it, a directory before what is in it, sorted by bytes. `leave`, where given, is
// called for a directory after what is in it. Throws base::Error, also where directories go in a circle, paths are longer than PATH_MAX or
// there are more entries than the limit.
struct Visitor {
    std::function<void(const std::string& path, const File& file)> visit;
    std::function<void(const std::string& path, const File& directory)> leave = {};
};
void walk(SquashfsReader& reader, const Limits& limits, const Visitor& visitor);
// The same from a directory or file on.
void walk(SquashfsReader& reader, const std::string& path, const File& file, const Limits& limits, const Visitor& visitor);

// "a//b/./c/" as "/a/b/c"; ".." takes back a name.
std::string absolute_path(const std::string& path);

// The file at a path; symbolic links are followed inside the image, at the end too. Nothing where there is none.
std::optional<File> find(SquashfsReader& reader, const std::string& path, bool follow_last = true);

// A file's content, at most `limit` bytes; longer ones are cut.
std::string read_start(SquashfsReader& reader, const File& file, size_t limit);

}  // namespace gvmi
