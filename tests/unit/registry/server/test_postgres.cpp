#include "registry/server/postgres.h"

#include <future>

#include "fixture.h"
#include "http/client.h"
#include "registry/server/open_metadata.h"
#include "registry/server/verifier.h"

namespace registry::server {
namespace {

TEST(Postgres, TextThatItCannotHoldEqualsNoOther) {
    EXPECT_EQ(postgres::value(std::string("a\0b", 3)),
              "a\xEF\xBF\xBD"
              "b");
    EXPECT_EQ(postgres::value(std::string("\xC0\xAF")), "\xEF\xBF\xBD\xEF\xBF\xBD");
    for (const char* good : {"", "abc", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"})
        EXPECT_EQ(postgres::value(std::string(good)), good);
    for (const char* bad : {"\x80", "\xE2\x82", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE0\x80\x80"})
        EXPECT_NE(postgres::value(std::string(bad)), bad);
}

TEST(Postgres, AConnectionThatHasEndedIsMadeAnew) {
    const std::string url = new_postgres();
    postgres::Pool pool(url);
    const auto process = [&pool] {
        return pool.use([](postgres::Connection& c) { return c.execute("SELECT pg_backend_pid()").number(0, 0); });
    };
    const int64_t first = process();
    EXPECT_EQ(process(), first);
    postgres::Connection other(url, std::chrono::seconds(0));
    other.query("SELECT pg_terminate_backend($1::INT, 10000)", first);
    EXPECT_NE(process(), first);
    // In the middle of a transaction it is an error, and the next one works.
    EXPECT_THROW(pool.transact([&other](postgres::Connection& c) {
        other.query("SELECT pg_terminate_backend($1::INT, 10000)", c.execute("SELECT pg_backend_pid()").number(0, 0));
        c.execute("SELECT 1");
    }),
                 http::TransientError);
    EXPECT_GT(process(), 0);
    EXPECT_THROW(pool.use([](postgres::Connection& c) { c.execute("SELECT nonsense"); }), postgres::SqlError);
}

TEST(Postgres, AnErrorRollsBack) {
    postgres::Pool pool(new_postgres());
    const auto count = [&pool] {
        return pool.use([](postgres::Connection& c) { return c.execute("SELECT COUNT(*) FROM t").number(0, 0); });
    };
    pool.use([](postgres::Connection& c) { c.execute("CREATE TABLE t (n BIGINT)"); });
    EXPECT_THROW(pool.transact([](postgres::Connection& c) {
        c.query("INSERT INTO t VALUES ($1)", int64_t{1});
        throw base::Error("no");
    }),
                 base::Error);
    EXPECT_EQ(count(), 0);
    pool.transact([](postgres::Connection& c) { c.query("INSERT INTO t VALUES ($1)", int64_t{1}); });
    EXPECT_EQ(count(), 1);
}

TEST(Postgres, AStatementThatHangsIsGivenUp) {
    const std::string url = new_postgres();
    postgres::Connection connection(url, std::chrono::seconds(1));
    EXPECT_THROW(connection.execute("SELECT pg_sleep(60)"), http::TransientError);
    EXPECT_FALSE(connection.usable());
}

// What only several servers on one data base do.
class SeveralServers : public Registry {
protected:
    SeveralServers() : Registry("PostgreSQL") {}
    void end_leases() {
        postgres::Connection(db_, std::chrono::seconds(0)).execute("UPDATE uploads SET claimed_until = now() - interval '1 s'");
    }
    std::unique_ptr<Metadata> other_ = open_again();
};

TEST_F(SeveralServers, OneClaimsAnUploadUntilItStopsToRenew) {
    const TestImage image("aaaabbbb");
    add(image, State::partial);
    EXPECT_TRUE(metadata_.claim(image.id));
    EXPECT_FALSE(other_->claim(image.id));
    EXPECT_TRUE(metadata_.claim(image.id));
    end_leases();
    EXPECT_TRUE(other_->claim(image.id));
    EXPECT_FALSE(metadata_.claim(image.id));
    EXPECT_FALSE(metadata_.claim(std::string(64, '0')));
}

TEST_F(SeveralServers, WhoeverHasClaimedIsWoken) {
    const TestImage image("aaaabbbb");
    add(image, State::partial);
    EXPECT_TRUE(metadata_.claim(image.id));
    metadata_.wake(image.descriptor.chunks[1]);
    EXPECT_TRUE(metadata_.woken().empty()) << "it knows its own";
    other_->wake(image.descriptor.chunks[1]);
    EXPECT_TRUE(other_->woken().empty());
    EXPECT_EQ(metadata_.woken(), std::vector{image.id});
    EXPECT_TRUE(metadata_.woken().empty());
    // One who does not come any more.
    other_->wake(image.descriptor.chunks[0]);
    end_leases();
    EXPECT_EQ(other_->woken(), std::vector{image.id});
}

TEST_F(SeveralServers, HashTheSameImageTogether) {
    Verifier here(metadata_, storage_, 1), there(*other_, storage_, 1);
    const TestImage image("aaaabbbbccccdddd");
    add(image, State::partial);
    for (size_t number = 0; number < image.chunks.size(); number++) {
        store(image.chunks[number]);
        Verifier& verifier = number % 2 == 0 ? here : there;
        verifier.advance(image.id);
        verifier.stored(image.descriptor.chunks[number]);
    }
    wait_until([&] {
        here.look_around();
        there.look_around();
        return metadata_.find_upload(image.id)->state == State::full;
    });
    here.stop();
    there.stop();
}

TEST_F(SeveralServers, CountWhatTheOthersReceive) {
    EXPECT_EQ(metadata_.share_receiving({.bytes = 10, .anonymous = 4}).bytes, 0u);
    const Receiving seen = other_->share_receiving({.bytes = 3, .anonymous = 3});
    EXPECT_EQ(seen.bytes, 10u);
    EXPECT_EQ(seen.anonymous, 4u);
    EXPECT_EQ(metadata_.share_receiving({}).anonymous, 3u);
    EXPECT_EQ(other_->share_receiving({}).bytes, 0u);
}

TEST_F(SeveralServers, NothingIsAddedWhileChunksAreRemoved) {
    const TestImage image("aaaa");
    std::future<void> adding;
    metadata_.for_unused(image.descriptor.chunks, [&](const std::string&) {
        adding = std::async(std::launch::async, [&] { other_->add_upload(image.id, image.descriptor, 1, 0); });
        EXPECT_EQ(adding.wait_for(std::chrono::milliseconds(300)), std::future_status::timeout);
    });
    adding.get();
    EXPECT_TRUE(metadata_.find_upload(image.id));
}

// The lock of an ended connection holds nobody up, so nothing may be removed after it.
TEST_F(SeveralServers, NothingIsRemovedWithoutTheLock) {
    std::vector<std::string> removed;
    const auto remove = [&](const std::string& chunk) {
        removed.push_back(chunk);
        postgres::Connection(db_, std::chrono::seconds(0))
            .execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND granted");
    };
    EXPECT_THROW(metadata_.for_unused({std::string(64, '0'), std::string(64, '1')}, remove), http::TransientError);
    EXPECT_EQ(removed.size(), 1u);
}

TEST_F(SeveralServers, AddTheSameChunksAtOnce) {
    std::vector<std::unique_ptr<Metadata>> servers;
    std::vector<std::future<void>> pushes;
    constexpr int kServers = 4;
    constexpr int kPushes = 40;
    servers.reserve(kServers);
    pushes.reserve(kPushes);
    for (int i = 0; i < kServers; i++)
        servers.push_back(open_again());
    for (int i = 0; i < kPushes; i++) {
        pushes.push_back(std::async(std::launch::async, [&, i] {
            std::string text;
            for (int j = 0; j < 100; j++)
                text += std::to_string(1000 + (j * 37 + i * 11) % 100);
            const TestImage image(text);
            servers[i % 4]->add_upload(image.id, image.descriptor, i, 0);
            if (i % 3 == 0) servers[(i + 1) % 4]->expire(i, 4);
        }));
    }
    for (auto& push : pushes)
        push.get();
    EXPECT_EQ(metadata_.check(), "");
    while (metadata_.expire(1000, 4) > 0) {
    }
    EXPECT_EQ(metadata_.check(), "");
    std::vector<std::string> unused;
    const TestImage image("1000");
    metadata_.for_unused(image.descriptor.chunks, [&](const std::string& chunk) { unused.push_back(chunk); });
    EXPECT_EQ(unused.size(), 1u);
}

TEST_F(SeveralServers, ANewerDataBaseIsRefused) {
    postgres::Connection(db_, std::chrono::seconds(0)).execute("UPDATE gvmkit_registry SET version = 1000");
    EXPECT_THROW((void)open_again(), base::Error);
}

}  // namespace
}  // namespace registry::server
