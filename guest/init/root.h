#pragma once

#include "base/fd.h"
#include "init/status.h"

namespace init {

// Mounts the images and over them the layer that takes the writes; returns the root directory (O_PATH), which lies at a place of the
// initramfs. Its mode, owner and times are the topmost image's.
Result<base::UniqueFd> make_root(const agent::Setup& setup);

// Makes that directory the root of this process and of all that come from it.
Status switch_root(int root);

}  // namespace init
