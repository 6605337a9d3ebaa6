#pragma once

#include <sys/types.h>

#include <string>

#include "base/fd.h"

namespace base {

// Both take a folder as openat(2) does: `path` is relative to the descriptor `folder`, or AT_FDCWD. Every file that must not appear before
// it is complete is made by them, so a killed program leaves nothing behind.

// A new file without a name (O_TMPFILE), open for reading and writing, close-on-exec; `mode` is subject to the umask. Returns none, with
// errno set, where the file system has no such files or it fails otherwise.
UniqueFd open_unnamed(int folder, const char* path, mode_t mode);

// The same where the file system has no such files, too: then it has a name for a moment. Throws SystemError.
UniqueFd temporary_file(const std::string& folder);

// Gives the file a name that is not taken. Returns false, with errno set (EEXIST), where that fails.
bool link_unnamed(const UniqueFd& file, int folder, const char* name);

}  // namespace base
