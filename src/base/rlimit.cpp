#include "base/rlimit.h"

#include <algorithm>

#include "base/error.h"

namespace base {
namespace {

rlimit limits_of(__rlimit_resource resource) {
    rlimit limit{};
    if (::getrlimit(resource, &limit) < 0) throw_errno("cannot read a resource limit");
    return limit;
}

}  // namespace

rlim_t raise_soft_limit(__rlimit_resource resource, rlim_t wanted) {
    rlimit limit = limits_of(resource);
    const rlim_t reachable = std::min(limit.rlim_max, wanted);
    if (limit.rlim_cur >= reachable) return limit.rlim_cur;
    limit.rlim_cur = reachable;
    if (::setrlimit(resource, &limit) < 0) throw_errno("cannot raise a resource limit");
    return limit.rlim_cur;
}

rlim_t hard_limit(__rlimit_resource resource) {
    return limits_of(resource).rlim_max;
}

}  // namespace base
