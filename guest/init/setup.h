#pragma once

#include <string>
#include <vector>

#include "container/users.h"
#include "init/made.h"
#include "init/status.h"

namespace init {

// What every process of the image starts with.
struct ProcessDefaults {
    container::Identity user;
    std::vector<std::string> environment;  // "K=V"
    bool own_home = false;                 // the image's environment says HOME, for every user
    std::string work_dir;
};

struct SetupResult {
    ProcessDefaults defaults;
    base::UniqueFd initramfs;  // the folder that was the root before
    Made made;
    std::vector<agent::Step> steps;     // where the time went
    std::vector<std::string> problems;  // what the image prevented but is no reason not to start
};

// Looks up a user, in any of Docker's forms, in the root's files as they are now.
container::UserLookup find_user_in_root(const std::string& user);

// Makes the VM that docs/spec/guest.md describes. After an error the VM is useless.
Result<SetupResult> set_up(const agent::Setup& setup);

}  // namespace init
