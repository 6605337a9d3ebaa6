#pragma once

#include <sys/types.h>

#include <string>

namespace gvmi {

// "drwxr-xr-x", as in ls.
std::string mode_text(mode_t mode);

}  // namespace gvmi
