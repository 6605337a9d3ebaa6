#pragma once

#include "init/status.h"
#include "init/users.h"

namespace init {

// Mounts the volumes over the root, in the order given. Each has the owner and mode of the image's directory of that path, but is the
// user's where that one could not write there, and the user's, 0755, where the image has none. To be called before anything else is mounted
// where a volume may be, since the image's directories are looked at first.
class Volumes {
public:
    // Looks at what the image has at the volumes' paths.
    Volumes(int root, const agent::Setup& setup, const Identity& user);
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
