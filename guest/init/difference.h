#pragma once

#include <sys/stat.h>

#include <functional>
#include <optional>
#include <set>
#include <string>

#include "base/fd.h"
#include "init/made.h"
#include "init/names.h"
#include "init/status.h"

namespace init {

// A folder in the three trees; -1 in one that does not have it.
struct Place {
    std::string path;      // without the first slash; empty: the root
    base::UniqueFd upper;  // the overlay's upper layer: what is not there is unchanged
    base::UniqueFd root;
    base::UniqueFd image;
    bool whole = false;  // the upper layer does not tell what is unchanged: the folder was renamed, or made where another was
};

// What init has made, by the paths that it has in the image.
struct MadePaths {
    static Result<MadePaths> of(const Made& made, int image);

    std::set<std::string> folders;
    std::string tmp;
    std::map<std::string, std::string> files;
};

// Finds what differs between the root and the image.
class Difference {
public:
    // A change: 'A' (added), 'C' (changed), 'D' (deleted), or 'O', before what a folder holds: nothing is left of what it held in the
    // image. `folder` is the open folder in the root; `path` as in Place.
    using Tell = std::function<Status(char kind, int folder, const char* name, const std::string& path)>;

    // With `links` the image's hard links are looked for everywhere: one of them was changed, which the others need not show in the upper
    // layer. With `gone` 'O' is told in place of each 'D'.
    Difference(MadePaths made, bool links, bool gone, Tell tell)
        : made_(std::move(made)), links_(links), gone_(gone), tell_(std::move(tell)) {}

    // Tells of all below `place`, in the order of the paths' bytes, and a folder before what it holds.
    Status tell_below(const Place& place, unsigned depth = 0);

private:
    struct Seen {
        std::optional<struct stat> root;
        std::optional<struct stat> image;
    };
    struct Lists {
        Names upper;
        Names all;
        bool gone = false;
    };

    Status list(const Place& place, bool gone, Lists& lists) const;
    Result<bool> any_below(const Place& place, unsigned depth);
    Result<char> kind_of(const Place& place, const Lists& lists, const char* name, Seen& seen, unsigned depth);
    Result<char> own_kind(const Place& place, const char* name, const Seen& seen) const;
    std::optional<char> made_kind(const Place& place, const char* name, const Seen& seen, Status& status) const;
    static Result<Place> below(const Place& place, const char* name);

    MadePaths made_;
    bool links_;
    bool gone_;
    Tell tell_;
};

// What is there by that name; nothing for an overlay's mark that it is deleted.
std::optional<struct stat> look(int folder, const char* name);

}  // namespace init
