#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <mutex>

#include "registry/server/metadata.h"
#include "registry/server/rate_limit.h"
#include "registry/server/sqlite_query.h"

namespace registry::server {

// Metadata in one SQLite file (write-ahead log, every commit durable), for one server; other programs may use it while that runs.
class SqliteMetadata : public Metadata {
public:
    // Opens or makes it. Throws base::Error.
    explicit SqliteMetadata(const std::filesystem::path& file);

    bool add_upload(const std::string& id, const Descriptor& descriptor, Time now, Time expires) override;
    std::optional<Upload> find_upload(const std::string& id) override;
    void set_state(const std::string& id, State state, Time now) override;
    void set_known(const std::string& id) override;
    void add_stored(const std::string& id, uint64_t bytes) override;
    uint64_t anonymous_bytes() override;
    void add_uses(const std::string& id, uint64_t uses) override;
    std::vector<std::string> uploads(State state) override;
    std::optional<std::string> find_image(const std::string& sha3, const std::string& viewer) override;
    bool is_visible(const std::string& id, const std::string& viewer) override;
    uint64_t expire(Time before, uint64_t limit) override;
    void for_unused(const std::vector<std::string>& chunks, const std::function<void(const std::string&)>& remove) override;

    bool claim(const std::string&) override { return true; }
    void wake(const std::string&) override {}
    std::vector<std::string> woken() override { return {}; }
    Receiving share_receiving(const Receiving&) override { return {}; }
    unsigned count_push(const std::string& address, unsigned hourly) override;

    void add_mirrored(const std::string& id, Time now) override;
    void use_mirrored(const std::string& id, Time now) override;
    std::vector<Mirrored> mirrored() override;
    void remove_mirrored(const std::string& id) override;
    std::optional<MirroredTag> find_mirrored_tag(const std::string& tag) override;
    void set_mirrored_tag(const std::string& tag, const MirroredTag& value) override;
    void forget_mirrored_tag(const std::string& tag) override;

    bool add_composed(const std::string& id, const std::string& object, uint64_t size, Time now, Time until) override;
    bool renew_composed(const std::string& object, Time until) override;
    bool finish_composed(const std::string& object, Time now) override;
    std::optional<std::string> use_composed(const std::string& id, Time now) override;
    std::vector<Composed> composed() override;
    bool retire_composed(const std::string& object, Time before) override;
    std::vector<std::string> useless_composed(Time now) override;
    void remove_composed(const std::string& object) override;

    std::optional<std::string> find_tag(const Name& name, const std::string& viewer) override;
    void set_tag(const Name& name, const std::string& id, uint64_t default_quota, Time now, bool only_check, Time expires) override;
    uint64_t remove_tags(const Name& name) override;
    std::vector<TaggedImage> search(const std::string& text, size_t limit) override;
    std::vector<TaggedImage> tags(const std::string& user, const std::string& repository, const std::string& viewer, size_t skip,
                                  size_t limit) override;
    std::optional<TaggedImage> find_tagged(const Name& name, const std::string& viewer) override;
    std::vector<ListedRepository> repositories(const std::string& text, const std::string& viewer, const Name& after,
                                               size_t limit) override;

    void set_private(const std::string& user, const std::string& repository, bool value) override;
    bool end_links(const std::string& user, const std::string& repository) override;
    bool is_private(const std::string& user, const std::string& repository) override;
    std::optional<PrivateImage> find_private(const std::string& id, const std::string& user) override;
    std::optional<PrivateImage> find_private(int64_t number, int64_t repository) override;
    std::string secret(const std::string& name, const std::string& fresh) override;

    bool make_repository(const Name& name) override;
    std::vector<std::string> empty_repositories(const std::string& user, size_t limit) override;
    void set_rules(const Name& name, const RuleChanges& changes) override;
    std::optional<Rules> find_rules(const Name& name) override;
    Time tag_expiry(const Name& name) override;
    std::vector<Name> remove_old_tags(Age age, Time now, size_t limit) override;
    uint64_t remove_expired_uploads(Time now, uint64_t limit) override;

    void add_user(const std::string& name, std::optional<uint64_t> quota, Time now) override;
    bool remove_user(const std::string& name) override;
    std::vector<User> users() override;
    std::optional<User> find_user(const std::string& name) override;
    bool add_token(const std::string& user, const std::string& hash, const std::string& note, Time now) override;
    std::vector<Token> tokens(const std::string& user) override;
    bool remove_token(const std::string& user, int64_t id) override;

    void add_session(int64_t token, const std::string& hash, Time expires, Time now) override;
    std::optional<std::string> find_session(const std::string& hash, Time now) override;
    void remove_session(const std::string& hash) override;

    void block(const std::string& hash, const std::string& reason) override;
    bool unblock(const std::string& hash) override;
    std::optional<std::string> find_blocked(const std::vector<std::string>& hashes) override;
    std::vector<std::pair<std::string, std::string>> blocked() override;

    void ping() override;
    Totals totals() override;
    std::string check() override;

private:
    template <typename F>
    auto locked(F f) {
        return with_database(mutex_, f);
    }
    // Parts of transactions. The first throws HttpError 403.
    void require_user(const std::string& name);
    // Throws HttpError 403 where the user has too many repositories without a tag.
    void check_empty_repositories(const std::string& user);
    // Removes a repository without tags that is neither private nor kept, or, with `even_kept`, such ones too; returns how many.
    uint64_t remove_if_empty(const std::string& user, const std::string& repository, bool even_kept);
    uint64_t remove_tags_now(const Name& name);  // as remove_tags
    // Clients that were sent to objects of a repository's images are to get no more of them.
    void retire_all_composed(const std::string& user, const std::string& repository);
    // The row of a repository, which is made where it is missing. It stays without tags.
    int64_t keep_repository(const Name& name);

    // What only reads takes microseconds, and does not wait for a commit or a collection.
    template <typename F>
    auto reading(F f) {
        return with_database(reader_mutex_, [&] { return f(reader_); });
    }

    std::mutex mutex_;
    SQLite::Database db_;
    std::mutex pushes_mutex_;
    std::optional<RateLimit> pushes_;  // made for the first push
    std::mutex reader_mutex_;
    SQLite::Database reader_;
};

}  // namespace registry::server
