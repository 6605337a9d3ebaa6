#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"

namespace base {

// Namespaces that begin with a child (namespaces(7)), a user namespace among them.
struct NewNamespaces {
    int flags = 0;         // CLONE_NEW*
    std::string user_map;  // its uid_map and gid_map (user_namespaces(7)): "inside outside count" lines
    std::string group_map;
    bool setgroups = false;  // whether it may drop groups; an ordinary user's may not
};

// A program to start. It stays in our session, and in our process group unless told otherwise: the supervisor bills the CPU time of its
// group (docs/spec/exe-unit.md, Processes).
struct Command {
    std::vector<std::string> argv;         // argv[0] is a path, or a name that is looked up in our PATH
    std::vector<std::string> environment;  // exactly this, "K=V"
    std::vector<std::pair<int, int>> fds;  // (our descriptor, its number in the child); of 0, 1 and 2 those not named are /dev/null
    bool block_terminal_signals = false;   // SIGINT and SIGHUP are blocked in the child
    bool own_group = false;                // it leads a process group of its own
    std::optional<NewNamespaces> namespaces = {};
    std::function<bool()> before_exec = {};  // in the child, async-signal-safe calls only; false ends it with status 126
};

// A direct child. SIGKILL ends it when the thread that started it ends, however that happens, and in the destructor.
class Child {
public:
    Child() = default;
    Child(Child&&) noexcept;
    Child& operator=(Child&&) noexcept;
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child();

    pid_t pid() const { return pid_; }
    // Readable when the child has ended; stays ours.
    int pidfd() const { return pidfd_.get(); }

    // Waits for its end and returns the wait status; once.
    int wait();
    // Sends a signal; does nothing once the child has been waited for.
    void kill(int signal);

private:
    friend Child spawn(const Command& command);
    pid_t pid_ = -1;
    UniqueFd pidfd_;
};

// Starts a program. Call it from the main thread: the child dies with the thread. Throws SystemError when it cannot be started (no such
// file, not executable), or the host does not let us make the namespaces.
Child spawn(const Command& command);

// Our own environment, "K=V".
std::vector<std::string> own_environment();

struct Finished {
    int code = 0;        // the exit code, or 128 + the signal
    std::string output;  // standard output and error together, at most 1 MiB
};

// Runs a program to its end, with nothing on stdin and `fds` (Command::fds; not 1 and 2). Throws SystemError when it cannot be started.
Finished run(const std::vector<std::string>& argv, const std::vector<std::pair<int, int>>& fds = {},
             const std::vector<std::string>& environment = own_environment());

// The exit code of a wait status: 128 + N for death by signal N.
int exit_code(int wait_status);

// The path of a program: `name` itself where it has a slash, else the first executable one in PATH; empty when there is none.
std::string find_program(const std::string& name);

}  // namespace base
