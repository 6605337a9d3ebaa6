#pragma once

#include "base/fd.h"
#include "vm/allowed.h"

namespace vm {

// Landlock's rules (landlock(7)): only `Allowed` can be opened, no TCP port bound or connected to, no abstract socket connected to and no
// signal sent outside. How much of that holds depends on the running kernel: files since 5.19, truncation 6.2, TCP 6.7, devices'
// ioctl 6.10, sockets and signals 6.12.
class Landlock {
public:
    // Throws base::Error when the rules cannot be made.
    explicit Landlock(const Allowed& allowed);

    // False where the kernel has none, or only its first version, which forbids each rename from one folder to another.
    bool available() const { return static_cast<bool>(rules_); }

    // In the child, which has no new privileges (PR_SET_NO_NEW_PRIVS); async-signal-safe. Returns false with errno set. Does nothing where
    // it is not available.
    bool enter() const;

private:
    base::UniqueFd rules_;
};

}  // namespace vm
