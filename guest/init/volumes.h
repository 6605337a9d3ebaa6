#pragma once

#include "container/users.h"
#include "init/status.h"

namespace init {

// Mounts the volumes over the root, in the order given. Each gets the owner and mode of the image's directory at that path; where the user
// could not write there it gets the user as owner, and where the image has no such directory the user and 0755. Call it before anything
// else is mounted where a volume may be, since it looks at the image's directories first.
class Volumes {
public:
    // Looks at the image's directories at the volumes' paths.
    Volumes(int root, const agent::Setup& setup, const container::Identity& user);
    Status mount(int root);

    struct Owner {
        uid_t uid;
        gid_t gid;
        mode_t mode;
    };

private:
    const agent::Setup& setup_;
    std::vector<Owner> owners_;
};

}  // namespace init
