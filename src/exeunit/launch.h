#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/subprocess.h"

namespace exeunit {

// How a supervisor starts a runtime.
struct Launch {
    std::vector<std::string> argv;              // argv[0] is a path, or a name that is looked up in our PATH
    std::filesystem::path working_directory;    // must exist
    std::vector<std::string> environment = {};  // added to ours, "K=V"
    int stderr_fd = -1;                         // -1: /dev/null
    bool own_process_group = false;             // so that the terminal's Ctrl-C does not reach it
};

// A runtime that was started, and our ends of its pipes.
struct Launched {
    base::Child child;  // killed by the destructor, and when we die
    base::UniqueFd input;
    base::UniqueFd output;
};

// Throws SystemError when it cannot be started. Call it from the main thread.
Launched launch(const Launch& how);

// Waits for a child and returns its exit code (128 + N for death by signal N); nothing when it still runs at the deadline.
std::optional<int> wait_for(base::Child& child, std::chrono::milliseconds deadline);

}  // namespace exeunit
