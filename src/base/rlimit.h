#pragma once

#include <sys/resource.h>

namespace base {

// Raises the soft limit of `resource` (RLIMIT_…) to `wanted`, or to the hard limit where that is lower; never lowers it. Returns the soft
// limit that holds then. Throws SystemError.
rlim_t raise_soft_limit(__rlimit_resource resource, rlim_t wanted = RLIM_INFINITY);

// The hard limit of `resource`. Throws SystemError.
rlim_t hard_limit(__rlimit_resource resource);

}  // namespace base
