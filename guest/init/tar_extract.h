#pragma once

#include "init/status.h"

namespace init {

// agent::TAR_EXTRACT: reads a tar from `in` and puts `name`, below which all of its entries are, where `path` says (docs/spec/debug.md).
// Reads to the end of `in` in any case. What cannot be kept is named by a line on `messages`.
Status extract_tar(const std::string& path, const std::string& name, int in, int messages);

}  // namespace init
