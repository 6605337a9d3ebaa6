#pragma once

#include "init/status.h"

namespace init {

// agent::CHANGES: writes to `out` what differs between the root and the image (docs/spec/debug.md); `form` is "list" or "layer".
// `initramfs` is the folder that was init's root before the image's, `made` what file_of has returned. What is left out is named by a line
// on `messages`.
Status write_changes(const std::string& form, int initramfs, int made, int out, int messages);

}  // namespace init
