#pragma once

#include <string>
#include <vector>

#include "init/status.h"
#include "init/users.h"

namespace init {

// What every process of the image gets.
struct Ground {
    Identity user;
    std::vector<std::string> environment;  // "K=V"
    std::string path;                      // PATH's value in it
    std::string work_dir;
};

struct Made {
    Ground ground;
    std::vector<agent::Step> steps;     // where the time went
    std::vector<std::string> problems;  // what the image did not allow but is no reason not to start
};

// Makes the VM that guest.md describes. After an error the VM is of no use.
Result<Made> set_up(const agent::Setup& setup);

}  // namespace init
