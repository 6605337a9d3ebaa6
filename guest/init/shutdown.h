#pragma once

#include <sys/types.h>

#include "base/fd.h"

namespace init {

// The end of the VM in steps, each with a deadline: SIGTERM to all processes, SIGKILL, then a child that syncs and unmounts all file
// systems. A process that cannot die, or a file system that a process serves, must not hold it up.
class Shutdown {
public:
    // Sends SIGTERM.
    explicit Shutdown(unsigned grace_ms);

    // Readable when the current step has taken too long.
    int timer_fd() const { return timer_.get(); }

    // Call it when `timer_fd` is readable, and with the result of Processes::reap whenever a child has ended. Returns true once, when the
    // host may be told that all is done.
    bool timeout();
    bool reaped(bool children_left);

private:
    enum class Step { terminating, killing, writing, done };

    void set_timer(unsigned ms);
    bool next(Step step);

    base::UniqueFd timer_;
    Step step_ = Step::terminating;
};

}  // namespace init
