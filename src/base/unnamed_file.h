#pragma once

#include <sys/types.h>

#include "base/fd.h"

namespace base {

// Both take a folder as openat(2) does: `path` relative to the descriptor `folder`, or AT_FDCWD. They are what stands under every file of
// ours that has no name until it is complete, so that nothing is left of a program that is killed.

// A new file without a name (O_TMPFILE), open for reading and writing, close-on-exec; `mode` is subject to the umask. None, with errno set,
// where it cannot be made: some file systems have no such files.
UniqueFd open_unnamed(int folder, const char* path, mode_t mode);

// Gives it a name that nothing has yet. False, with errno set (EEXIST), where that fails.
bool link_unnamed(const UniqueFd& file, int folder, const char* name);

}  // namespace base
