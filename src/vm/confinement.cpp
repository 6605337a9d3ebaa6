#include "vm/confinement.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <system_error>

#include "base/error.h"
#include "base/subprocess.h"

namespace vm {

Confinement::Confinement(const Allowed& allowed, bool namespaces) : landlock_(allowed), filter_(!allowed.read_write.empty()) {
    if (namespaces) namespaces_.emplace(allowed);
}

// The namespaces come first, since Landlock forbids mounts; the filter last, since it forbids all of this.
bool Confinement::enter() const {
    constexpr rlimit kNoCore{.rlim_cur = 0, .rlim_max = 0};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || ::setrlimit(RLIMIT_CORE, &kNoCore) < 0) return false;
    return (!namespaces_ || namespaces_->enter()) && landlock_.enter() && filter_.enter();
}

std::string confinement_gaps(bool landlock, const std::string& namespaces) {
    std::string gaps;
    if (!landlock) gaps = "Landlock (this kernel has none, or only its first version)";
    if (!namespaces.empty()) gaps += (gaps.empty() ? "namespaces (" : " and namespaces (") + namespaces + ")";
    return gaps;
}

std::string confinement_gaps() {
    const Confinement confinement({.read = {"/usr"}}, true);
    base::Command command{.argv = {"/bin/true"}, .environment = {}, .fds = {}};
    command.namespaces = confinement.start();
    command.before_exec = [&confinement] {
        if (confinement.enter()) ::_exit(0);
        return false;
    };
    try {
        (void)base::spawn(command).wait();
        return confinement_gaps(confinement.has_landlock(), "");
    } catch (const base::SystemError& e) {
        return confinement_gaps(confinement.has_landlock(), std::generic_category().message(e.error_number()));
    }
}

}  // namespace vm
