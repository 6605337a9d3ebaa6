#pragma once

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

#include "base/fd.h"

namespace dbg {

// A volume's folder on the host, to which the guest writes at the same time. Every folder is opened from the top, name by name, and no
// symbolic link is followed, so that nothing outside can be reached whatever the guest does. What is put there appears complete: it is made
// in `staging`, a folder on the same file system that the guest does not see.
//
// A place is the names of its folder below the top, and its own name. All throw base::SystemError that names it.
class GuestFolder {
public:
    using Names = std::vector<std::string>;

    GuestFolder(const std::filesystem::path& top, const std::filesystem::path& staging);

    // A new file at the staging place; `put` moves it. One at a time.
    base::UniqueFd stage();
    // Moves what was staged to a place, in the place of what was there, a folder even. Missing folders on the way are made.
    void put(const Names& folder, const std::string& name);

    void put_link(const Names& folder, const std::string& name, const std::string& target);
    // Makes a folder, or sets the mode of the one that is there; anything else there is removed. Only the rwx bits count, here and below.
    void put_folder(const Names& folder, const std::string& name, mode_t mode);
    // Does nothing where the guest has removed it or put a link there.
    void set_mode(const Names& folder, const std::string& name, mode_t mode);
    void remove(const Names& folder, const std::string& name);
    // Returns false where it cannot be moved: it is not there, or something is in its new place.
    bool move(const Names& from_folder, const std::string& from, const Names& to_folder, const std::string& to);

    // A regular file, for reading.
    base::UniqueFd open_file(const Names& folder, const std::string& name);

    // Folders are opened anew from now on.
    void forget() { opened_.reset(); }

private:
    int open(const Names& folder, bool make);  // stays ours; valid until the next call
    void move_staged(int folder, const std::string& name);

    base::UniqueFd top_;
    base::UniqueFd staging_;
    base::UniqueFd opened_;  // the folder of the latest call: most calls come for many files of one folder
    Names opened_names_;
};

}  // namespace dbg
