#pragma once

#include <sys/stat.h>

#include "init/status.h"

namespace init {

// What `name` in a folder is.
struct FileAt {
    int folder = -1;
    const char* name = "";
    const struct stat& st;
};

// Whether two files differ in kind, mode, owner, extended attributes, target or device, or, with `time`, in the time of the last change.
Result<bool> differ(const FileAt& a, const FileAt& b, bool time);

// Whether two regular files differ in content.
Result<bool> differ_in_content(const FileAt& a, const FileAt& b);

// At most PATH_MAX bytes; empty where it cannot be read.
std::string target_of(int folder, const char* name);

}  // namespace init
