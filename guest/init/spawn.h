#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "init/users.h"

namespace init {

// A program to run.
struct Program {
    std::string name;                     // as it was asked for
    std::vector<std::string> candidates;  // the paths to try, in this order
    std::vector<std::string> args;        // from argv[0] on
    const std::vector<std::string>* environment;
    std::string work_dir;
    const Identity* user;
};

// The paths that `name` may mean: itself where it has a slash, else one in each folder of `path` (a PATH variable's value).
std::vector<std::string> candidates(const std::string& name, std::string_view path);

// A child on its way to the program. It shares init's memory until then, so that nothing has to be copied, and init does not wait for it:
// a program may lie on a file system that some process in the VM serves, or does not.
class Launch {
public:
    // Starts the child, its own session, its outputs on two pipes.
    static Result<std::unique_ptr<Launch>> start(Program program);
    ~Launch();
    Launch(const Launch&) = delete;
    Launch& operator=(const Launch&) = delete;

    pid_t pid() const { return pid_; }
    // Readable when `outcome` can be told.
    int report_fd() const { return report_.get(); }
    // Whether the program runs. To be called once, when report_fd is readable or the child has ended.
    Status outcome();

    base::UniqueFd out;  // our ends of its pipes, not blocking
    base::UniqueFd err;

private:
    struct Child;
    Launch();
    std::unique_ptr<Child> child_;
    base::UniqueFd report_;
    pid_t pid_ = -1;
};

}  // namespace init
