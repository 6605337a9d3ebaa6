#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "registry/server/records.h"

namespace registry::server {

// Everything except the chunks' bytes. Several threads may call its functions at once, and other processes may change the same data. Each
// throws base::Error; http::TransientError where the data base does not answer for now.
//
// `viewer` is who asks, a user's name or, for nobody, empty. Private repositories, and images that nothing else shows, are as if they were
// not there for all but their user.
class Metadata {
public:
    virtual ~Metadata() = default;

    // Returns false and changes nothing where it is there already: a stranger cannot keep an upload by pushing its descriptor again.
    // `expires` as Upload has it.
    virtual bool add_upload(const std::string& id, const Descriptor& descriptor, Time now, Time expires) = 0;
    virtual std::optional<Upload> find_upload(const std::string& id) = 0;
    virtual void set_state(const std::string& id, State state, Time now) = 0;
    virtual void set_known(const std::string& id) = 0;
    virtual void add_stored(const std::string& id, uint64_t bytes) = 0;
    // The sum of `stored` over the uploads that no logged-in user has asked for.
    virtual uint64_t anonymous_bytes() = 0;
    virtual void add_uses(const std::string& id, uint64_t uses) = 0;
    virtual std::vector<std::string> uploads(State state) = 0;
    // A full upload of an image.
    virtual std::optional<std::string> find_image(const std::string& sha3, const std::string& viewer) = 0;
    virtual bool is_visible(const std::string& id, const std::string& viewer) = 0;
    // Removes uploads without a tag, and not of a mirror, that are older than `before`, at most `limit`; returns how many.
    virtual uint64_t expire(Time before, uint64_t limit) = 0;
    // Calls `remove` for those of `chunks` that are in no upload; no upload can be added meanwhile.
    virtual void for_unused(const std::vector<std::string>& chunks, const std::function<void(const std::string&)>& remove) = 0;

    // What several servers on one data base need to know of each other. Where only one can use it, claims always succeed, and nobody wakes
    // anybody.

    // Claims the hashing of an upload for this server, or renews its claim: for half a minute. Returns false while another one has it.
    virtual bool claim(const std::string& id) = 0;
    // Tells whoever has claimed uploads with this chunk that it is stored.
    virtual void wake(const std::string& sha256) = 0;
    // The uploads for which this server was told so since the last call.
    virtual std::vector<std::string> woken() = 0;
    // Tells what this server is receiving, for the next minute; returns the sum of what the others do.
    virtual Receiving share_receiving(const Receiving& mine) = 0;
    // Counts a push of an address and returns 0, or the seconds after which it may push again: so many times at once, and as many in an
    // hour.
    virtual unsigned count_push(const std::string& address, unsigned hourly) = 0;

    // What a mirror has fetched: uploads that do not expire, and what the upstream's tags named when it was asked.
    virtual void add_mirrored(const std::string& id, Time now) = 0;
    virtual void use_mirrored(const std::string& id, Time now) = 0;  // to a minute
    virtual std::vector<Mirrored> mirrored() = 0;                    // the one that was not used for longest first
    virtual void remove_mirrored(const std::string& id) = 0;         // with the upload, unless a tag names it
    virtual std::optional<MirroredTag> find_mirrored_tag(const std::string& tag) = 0;
    virtual void set_mirrored_tag(const std::string& tag, const MirroredTag& value) = 0;
    virtual void forget_mirrored_tag(const std::string& tag) = 0;

    // Images as objects in the store. A row is there before the object, and goes after it.

    // Claims the composing of an image as an object of this name until `until`. Returns false where there is a row for it.
    virtual bool add_composed(const std::string& id, const std::string& object, uint64_t size, Time now, Time until) = 0;
    // Renews the claim. Returns false where it was lost.
    virtual bool renew_composed(const std::string& object, Time until) = 0;
    // The object is whole. Returns false, and changes nothing, where the claim was lost.
    virtual bool finish_composed(const std::string& object, Time now) = 0;
    // The object of an image, for a client that is sent there now; none while it is not whole. `used` is kept to ten seconds.
    virtual std::optional<std::string> use_composed(const std::string& id, Time now) = 0;
    virtual std::vector<Composed> composed() = 0;  // the one that was not used for longest first
    // Sends no client to this object any more, unless one was after `before`: returns false then.
    virtual bool retire_composed(const std::string& object, Time before) = 0;
    // The names of objects that are to be removed: retired ones, those whose claim is over, and those of images that are blocked, gone, or
    // hidden without a tag.
    virtual std::vector<std::string> useless_composed(Time now) = 0;
    virtual void remove_composed(const std::string& object) = 0;

    virtual std::optional<std::string> find_tag(const Name& name, const std::string& viewer) = 0;
    // Sets or moves a tag, or only checks whether that is allowed. `expires`: when it is removed, or 0; in both cases an upload that has a
    // time gets this one, or none, unless its own is later. Throws HttpError 403 where the user's images would exceed the quota, 409 where
    // it is another image's and immutable.
    virtual void set_tag(const Name& name, const std::string& id, uint64_t default_quota, Time now, bool only_check, Time expires) = 0;
    // Removes a tag, or where `name.tag` is empty a repository with all its tags; returns how many tags, at least 1 where there was
    // something. A repository goes with its last tag, unless it is private, was made by itself or has rules.
    virtual uint64_t remove_tags(const Name& name) = 0;
    // Images whose user or repository contains `text`, at most `limit`, by name; all, the private ones too.
    virtual std::vector<TaggedImage> search(const std::string& text, size_t limit) = 0;
    // The tags of a repository, those set last first: at most `limit`, without the first `skip`.
    virtual std::vector<TaggedImage> tags(const std::string& user, const std::string& repository, const std::string& viewer, size_t skip,
                                          size_t limit) = 0;
    // A tag with its image, whatever its state.
    virtual std::optional<TaggedImage> find_tagged(const Name& name, const std::string& viewer) = 0;
    // Repositories with tags whose user/repository contains `text`, by name: those behind `after` (of which only user and repository
    // count), at most `limit`.
    virtual std::vector<ListedRepository> repositories(const std::string& text, const std::string& viewer, const Name& after,
                                                       size_t limit) = 0;

    // Makes a repository private, with the images that its user has pushed, or public; one that is not there is made. Ends its links where
    // that is a change. Throws HttpError 403 where there is no such user, or where the user has too many repositories without a tag.
    virtual void set_private(const std::string& user, const std::string& repository, bool value) = 0;
    // Ends the links to a repository's images that were given before. Returns false where there is no such repository.
    virtual bool end_links(const std::string& user, const std::string& repository) = 0;
    virtual bool is_private(const std::string& user, const std::string& repository) = 0;
    // A private repository of the user that has the upload.
    virtual std::optional<PrivateImage> find_private(const std::string& id, const std::string& user) = 0;
    // The upload with a number, where the repository with a number has it.
    virtual std::optional<PrivateImage> find_private(int64_t number, int64_t repository) = 0;
    // A secret that all servers share: `fresh`, kept from now on, where there was none.
    virtual std::string secret(const std::string& name, const std::string& fresh) = 0;

    // Makes a repository without tags, which stays. Returns false where there is one of this name. Throws HttpError 403 as set_private.
    virtual bool make_repository(const Name& name) = 0;
    virtual std::vector<std::string> empty_repositories(const std::string& user, size_t limit) = 0;
    // Changes the rules of a repository, which is made where it is missing. Throws HttpError 403 as set_private.
    virtual void set_rules(const Name& name, const RuleChanges& changes) = 0;
    virtual std::optional<Rules> find_rules(const Name& name) = 0;
    virtual Time tag_expiry(const Name& name) = 0;  // 0: it has none, or is not there
    // Removes tags, at most `limit`, and repositories that go with their last one; returns which. Call it until there are none.
    virtual std::vector<Name> remove_old_tags(Age age, Time now, size_t limit) = 0;
    // Removes uploads without a tag, and not of a mirror, whose time is over, at most `limit`; returns how many.
    virtual uint64_t remove_expired_uploads(Time now, uint64_t limit) = 0;

    virtual void add_user(const std::string& name, std::optional<uint64_t> quota, Time now) = 0;  // or changes the quota
    virtual bool remove_user(const std::string& name) = 0;                                        // with tokens and tags
    virtual std::vector<User> users() = 0;
    virtual std::optional<User> find_user(const std::string& name) = 0;
    virtual bool add_token(const std::string& user, const std::string& hash, const std::string& note,
                           Time now) = 0;  // returns false where there is no such user
    virtual std::vector<Token> tokens(const std::string& user) = 0;
    virtual bool remove_token(const std::string& user, int64_t id) = 0;  // with its sessions

    // Who is signed in on the page: each by a secret, of which the hash is kept, until a time or until the token is removed.
    virtual void add_session(int64_t token, const std::string& hash, Time expires, Time now) = 0;
    virtual std::optional<std::string> find_session(const std::string& hash, Time now) = 0;  // its user
    virtual void remove_session(const std::string& hash) = 0;

    // Hashes of images, descriptors or chunks that are neither accepted nor served.
    virtual void block(const std::string& hash, const std::string& reason) = 0;
    virtual bool unblock(const std::string& hash) = 0;
    // The first blocked one among them.
    virtual std::optional<std::string> find_blocked(const std::vector<std::string>& hashes) = 0;
    virtual std::vector<std::pair<std::string, std::string>> blocked() = 0;

    // Throws where the data base does not answer.
    virtual void ping() = 0;
    virtual Totals totals() = 0;
    // Defects of the database itself; empty where there are none.
    virtual std::string check() = 0;
};

// Repositories without a tag that a user may have.
inline constexpr int64_t kMostEmptyRepositories = 1000;
// Throws HttpError 403 where there are more than that.
void refuse_too_many_empty(const std::string& user, int64_t empty);

// Throws HttpError 409.
[[noreturn]] void refuse_immutable(const Name& name);

// Throws HttpError 403 where `used` bytes, those of the image to be tagged among them, are above a user's quota.
void refuse_above_quota(const std::string& user, uint64_t used, uint64_t quota);

}  // namespace registry::server
