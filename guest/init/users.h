#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "init/status.h"

namespace init {

// The user and groups of a process.
struct Identity {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;  // supplementary
    std::string home = "/";
};

// The image's User in any of Docker's forms ("", uid, name, each with ":gid" or ":group" after it), looked up in the texts of the image's
// /etc/passwd and /etc/group as Docker does: numbers need no entry; supplementary groups are those that list the user, unless a group is
// given.
Result<Identity> find_user(std::string_view user, std::string_view passwd, std::string_view group);

}  // namespace init
