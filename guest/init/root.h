#pragma once

#include "base/fd.h"
#include "init/status.h"

namespace init {

// Mounts the images and over them the writable layer. Returns the root directory (O_PATH), which is at a path of the initramfs. Its mode,
// owner and times are the topmost image's.
Result<base::UniqueFd> make_root(const agent::Setup& setup);

// Makes that directory the root of this process and all its descendants.
Status switch_root(int root);

}  // namespace init
