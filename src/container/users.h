// Folder container: Docker's rules about what an image says of its processes, shared by the guest, which obeys them, and by the linter,
// which foretells what the guest will do. Without exceptions, for the guest's program.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace container {

// Of /etc/passwd and /etc/group no more is read, in bytes.
inline constexpr size_t kMaxUserFile = 16 << 20;

// The user and groups of a process.
struct Identity {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;  // supplementary; the first is `gid`
    std::string home = "/";
};

struct UserLookup {
    Identity identity;
    std::string error;  // empty: found. Names the file, and the line where one is at fault; below 400 bytes, in the files' encoding
};

// Looks up an image's User in any of Docker's forms ("", uid, name, each with ":gid" or ":group" after it) in the texts of the image's
// /etc/passwd and /etc/group, as runc does:
// - A number is always a uid or gid, at most 2^31 - 1, and needs no entry.
// - A line is trimmed and may lack fields: a missing uid or gid is 0, a missing home "/". Empty lines and comments (#) are skipped.
// - The first line that matches counts. The supplementary groups are those that list the user, unless a group is given.
// Only the matching line must be right: runc takes a uid that is not a number for 0, which is root; here it is an error.
UserLookup find_user(std::string_view user, std::string_view passwd, std::string_view group);

}  // namespace container
