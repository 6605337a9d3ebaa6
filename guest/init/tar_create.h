#pragma once

#include "init/status.h"

namespace init {

// agent::TAR_CREATE: writes a tar of `path` (docs/spec/debug.md) to `out`. What is left out is named by a line on `messages`.
Status create_tar(const std::string& path, int out, int messages);

}  // namespace init
