#pragma once

#include <cerrno>
#include <functional>

#include "base/error.h"
#include "base/subprocess.h"

namespace vm_test {

// What a child gets for `attempt` once `enter` has confined it: 0, or an errno. Both run between fork and exec, so they make system calls
// alone; `attempt` returns what the call did (-1 and errno).
inline int attempt_confined(const std::function<bool()>& enter, const std::function<long()>& attempt,
                            const std::optional<base::NewNamespaces>& namespaces = {}) {
    constexpr int kNotConfined = ENOTRECOVERABLE;
    base::Command child{.argv = {"/bin/true"}, .environment = {}, .fds = {}};
    child.namespaces = namespaces;
    child.before_exec = [&] {
        if (!enter()) {
            errno = kNotConfined;
        } else if (attempt() >= 0) {
            errno = 0;
        }
        return false;
    };
    try {
        (void)base::spawn(child).wait();
    } catch (const base::SystemError& e) {
        return e.error_number();
    }
    return kNotConfined;
}

}  // namespace vm_test
