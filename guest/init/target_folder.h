#pragma once

#include <sys/types.h>

#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "init/status.h"

namespace init {

// A folder into which files are put, and the way down to the folder in which the last one was put. Nothing leads out of it: a symbolic link
// on the way is followed to what is below the folder alone.
class TargetFolder {
public:
    TargetFolder() = default;
    // `path` has to be a folder.
    static Result<TargetFolder> open(const std::string& path);

    // The folder that `names` lead to. Makes what is missing, 0755 and root's. The descriptor lasts to the next call.
    Result<int> enter(const std::vector<std::string>& names);
    // Like enter, but makes nothing: for what has to be there.
    Result<int> find(const std::vector<std::string>& names);
    // Whether a link led to the last name that was entered.
    bool by_link() const { return !way_.empty() && way_.back().by_link; }
    // Sets the time of the folder that was entered, when nothing more is put into it.
    void set_time(const timespec& mtime);
    // Sets the times that are still to be set.
    void leave();

    int get() const { return top_.get(); }

private:
    struct Step {
        std::string name;
        base::UniqueFd fd;
        bool by_link = false;
        std::optional<timespec> mtime;
    };

    Status step(const std::string& name, bool make);
    Result<int> go(const std::vector<std::string>& names, bool make);
    void back_to(size_t depth);
    std::string path_to(const std::string& name) const;

    base::UniqueFd top_;
    bool is_root_ = false;
    std::vector<Step> way_;
    std::optional<timespec> mtime_;
};

}  // namespace init
