#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "registry/descriptor.h"

namespace registry::server {

// A time, in seconds since 1970.
using Time = int64_t;

// full: every chunk is stored and their SHA3-224 is the descriptor's; bad: it is not.
enum class State { partial, full, bad };

struct Upload {
    std::string id;  // the descriptor hash
    Descriptor descriptor;
    State state = State::partial;
    uint64_t uses = 0;
    bool known = false;   // a logged-in user has asked for a tag on it
    uint64_t stored = 0;  // bytes that its pushes have added to the storage
    Time expires = 0;     // when it is removed, unless a tag names it; 0: when it is old
    bool hidden = false;  // not everybody may have it, unless something else shows it (Metadata::is_visible)
};

// The name of an image: user/repository:tag.
struct Name {
    std::string user, repository, tag;
};

struct TaggedImage {
    Name name;
    std::string id, sha3;
    uint64_t size = 0;
    uint64_t uses = 0;
    Time changed = 0;         // when the tag was set
    bool in_private = false;  // whether the repository is private
};

// An upload as somebody's private repository has it: what a link to it is about.
struct PrivateImage {
    std::string id;          // of the upload
    int64_t number = 0;      // of the upload
    int64_t repository = 0;  // its number
    std::string name;        // USER/REPOSITORY
    int64_t links = 0;       // how many times the links of the repository were ended
};

// What happens to a repository's tags.
struct Rules {
    bool immutable = false;  // a tag that is there keeps its image
    // Tags are kept that are among so many of those set last, or younger than so many seconds. 0: this rule keeps none; both: all are kept.
    uint64_t keep = 0;
    Time keep_younger = 0;
};

// What is to change of them.
struct RuleChanges {
    std::optional<bool> immutable = {};
    std::optional<uint64_t> keep = {};
    std::optional<Time> keep_younger = {};
};

// Why tags are removed: their own time is over, or no rule of their repository keeps them.
enum class Age { expired, not_kept };

// A repository as a list of them shows it: by the tag that was set last.
struct ListedRepository {
    static constexpr uint64_t kMostCounted = 1000;  // tags

    TaggedImage newest;
    uint64_t tags = 0;  // at most kMostCounted
};

struct User {
    std::string name;
    std::optional<uint64_t> quota;  // bytes; without one the server's default holds
    uint64_t used = 0;              // bytes of the images that the user's tags name, each once
};

struct Token {
    int64_t id = 0;
    std::string hash;  // SHA-256 of the token, hex
    std::string note;
    Time created = 0;
};

// What a server is receiving: it is not stored yet, and will take room.
struct Receiving {
    uint64_t bytes = 0;
    uint64_t anonymous = 0;  // of these, those of uploads that no logged-in user has asked for
};

// An upload that a mirror has fetched.
struct Mirrored {
    std::string id;
    uint64_t size = 0;
};

// What a tag named in another registry.
struct MirroredTag {
    std::string sha3;
    Time asked = 0;
};

// An image as one object in the store (ImageObjects).
struct Composed {
    std::string id;      // of the upload
    std::string object;  // its name
    uint64_t size = 0;
    Time used = 0;       // when a client was sent there last
    bool ready = false;  // false: it is being written
};

struct Totals {
    uint64_t partial = 0, full = 0, bad = 0;  // uploads
    uint64_t full_bytes = 0;
    uint64_t tags = 0, users = 0;
};

}  // namespace registry::server
