#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "init/status.h"

namespace init {

inline constexpr size_t kMostNested = 2048;  // folders in one another; the kernel takes no longer path

// What `path` means inside the directory `root`: relative to it, without symbolic links, "." and "..", none of which leads out of it; "."
// is the root itself. Missing components stay unchanged.
Result<std::string> resolve(int root, std::string_view path);

// Opens (O_PATH) a directory inside `root`. Makes it and its parents, 0755 and root's, where they are missing.
Result<base::UniqueFd> make_directory(int root, std::string_view path);

// Opens an existing path inside `root`, O_CLOEXEC added. Returns an errno where it cannot.
struct Opened {
    base::UniqueFd fd;
    int error = 0;
};
Opened open_inside(int root, const std::string& path, int flags);

// The first `limit` bytes of a regular file inside `root`; empty where there is none.
std::string read_inside(int root, const std::string& path, size_t limit);

// The first 4 KiB of a file in /proc or /sys; empty where it cannot be read.
std::string read_text(const std::string& path);

// The first line of one, without its newline.
std::string read_line(const std::string& path);

// The names in a folder that do not begin with a dot; none where it cannot be read.
std::vector<std::string> names_in(const std::string& folder);

// Writes to a file in /proc or /sys. Returns 0 or an errno.
int write_value(const std::string& path, std::string_view value);

}  // namespace init
