#pragma once

#include "base/fd.h"
#include "init/status.h"

namespace init {

// What the root is made of, by its path in the initramfs.
inline constexpr const char* kUpper = "/writable/upper";
inline constexpr const char* kIndex = "/writable/work/index";  // the overlay's: hard links of the image that were written to
inline constexpr const char* kFirstImage = "/image0";
inline constexpr const char* kImages = "/images";  // all images and the driver's files as one, where there are several of these

// Mounts the images and over them the writable layer. Returns the root directory (O_PATH), which is at a path of the initramfs. Its mode,
// owner and times are the topmost image's.
Result<base::UniqueFd> make_root(const agent::Setup& setup);

// Makes that directory the root of this process and all its descendants.
Status switch_root(int root);

}  // namespace init
