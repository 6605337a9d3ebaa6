#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "container/users.h"
#include "init/status.h"

namespace init {

// A program to run.
struct Program {
    std::string name;                     // as the request gave it
    std::vector<std::string> candidates;  // the paths to try, in this order
    std::vector<std::string> args;        // from argv[0] on
    const std::vector<std::string>* environment;
    std::string work_dir;
    const container::Identity* user;
    bool input = false;                            // its stdin is a pipe from the host instead of /dev/null
    std::optional<agent::Terminal> terminal = {};  // of this size, in place of the pipes
    std::vector<base::UniqueFd> kept = {};         // descriptors that stay open in it, by their numbers
    // Where they are its own and not those of all programs, the pointers above lead here.
    std::shared_ptr<const std::vector<std::string>> own_environment = {};
    std::shared_ptr<const container::Identity> own_user = {};
};

// The paths that `name` may mean: itself where it contains a slash, else one in each folder of `path` (a PATH variable's value).
std::vector<std::string> candidates(const std::string& name, std::string_view path);

bool set_terminal_size(int terminal, const agent::Terminal& size);

// A child before its exec. It shares init's memory until then, so that nothing is copied, and init does not wait for it: the program may be
// on a file system that a process in the VM serves, or fails to serve.
class Launch {
public:
    // Starts the child in a session of its own, with its outputs on two pipes, or at a terminal.
    static Result<std::unique_ptr<Launch>> start(Program program);
    ~Launch();
    Launch(const Launch&) = delete;
    Launch& operator=(const Launch&) = delete;

    pid_t pid() const { return pid_; }
    // Readable when `outcome` is known.
    int report_fd() const { return report_.get(); }
    // Whether the program runs. Call it once, when report_fd is readable or the child has ended.
    Status outcome();

    base::UniqueFd out;  // our ends of its pipes, non-blocking; of a terminal `out` alone
    base::UniqueFd err;
    base::UniqueFd in;  // what we write for it to read, non-blocking; none for /dev/null

private:
    struct Child;
    Launch();
    std::unique_ptr<Child> child_;
    base::UniqueFd report_;
    pid_t pid_ = -1;
};

}  // namespace init
