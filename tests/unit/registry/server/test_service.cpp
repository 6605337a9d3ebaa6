#include "registry/server/service.h"

#include <ctime>

#include "fixture.h"
#include "registry/server/errors.h"
#include "registry/server/tokens.h"

namespace registry::server {
namespace {

template <typename F>
unsigned status_of(F f) {
    try {
        f();
    } catch (const HttpError& e) {
        return e.status();
    }
    return 200;
}

class ServiceTest : public Registry {
protected:
    ~ServiceTest() override { service_.stop(); }

    void push(const TestImage& image) {
        service_.add_descriptor(bytes(image.bytes));
        for (size_t number = 0; number < image.chunks.size(); number++)
            push_chunk(image, number);
        wait_until([&] { return service_.status(image.id).state == State::full; });
    }
    void push_chunk(const TestImage& image, size_t number) {
        Service::Incoming chunk = service_.begin_chunk({.descriptor = image.id,
                                                        .number = std::to_string(number),
                                                        .sha256 = image.descriptor.chunks[number],
                                                        .position = std::to_string(number * image.descriptor.chunk_size),
                                                        .length = std::to_string(image.chunks[number].size())});
        chunk.writer->write(bytes(image.chunks[number]));
        service_.end_chunk(chunk);
    }
    std::string user(const std::string& name) {
        std::string token = new_token();
        metadata_.add_user(name, std::nullopt, 0);
        metadata_.add_token(name, token_hash(token), "", 0);
        return token;
    }

    Service service_{metadata_, storage_, {.image_size = 100, .user_quota = 16, .min_free = 0}, 1};
};

TEST_F(ServiceTest, APushedImageIsFound) {
    const TestImage image("aaaabbbbc");
    EXPECT_FALSE(service_.status(image.id).known);
    push(image);
    EXPECT_EQ(service_.find(image.id).descriptor.sha3, image.descriptor.sha3);
    EXPECT_EQ(service_.find_by_hash(image.descriptor.sha3).id, image.id);
    EXPECT_EQ(status_of([&] { service_.find_by_hash(std::string(56, '0')); }), 404u);
    EXPECT_EQ(status_of([&] { service_.find_by_hash("../x"); }), 400u);
    EXPECT_EQ(status_of([&] { service_.find("../x"); }), 404u);
}

TEST_F(ServiceTest, ADescriptorTooLargeOrBadIsRefused) {
    EXPECT_EQ(status_of([&] { service_.add_descriptor(bytes(TestImage(std::string(101, 'a')).bytes)); }), 400u);
    EXPECT_EQ(status_of([&] { service_.add_descriptor(bytes("x")); }), 400u);
}

TEST_F(ServiceTest, OnlyTheOwnerTags) {
    const TestImage image("aaaa");
    const std::string alice = user("alice"), bob = user("bob");
    const Name name{"alice", "tools", "1"};
    EXPECT_EQ(status_of([&] { service_.attach(image.id, name, "alice", alice, true); }), 404u);
    service_.add_descriptor(bytes(image.bytes));
    EXPECT_EQ(status_of([&] { service_.attach(image.id, name, "alice", alice, true); }), 200u);
    EXPECT_EQ(status_of([&] { service_.attach(image.id, name, "alice", alice, false); }), 409u);
    push(image);
    EXPECT_EQ(status_of([&] { service_.attach(image.id, name, "bob", bob, false); }), 403u);
    EXPECT_EQ(status_of([&] { service_.attach(image.id, name, "alice", bob, false); }), 401u);
    EXPECT_EQ(status_of([&] { service_.attach(image.id, {"alice", "..", "1"}, "alice", alice, false); }), 400u);
    EXPECT_EQ(status_of([&] { service_.find_by_tag("alice/tools:1"); }), 404u);
    service_.attach(image.id, name, "alice", alice, false);
    EXPECT_EQ(service_.find_by_tag("alice/tools:1").id, image.id);
}

TEST_F(ServiceTest, BlockedHashesAreNeitherTakenNorServed) {
    const TestImage image("aaaabbbb");
    push(image);
    for (const std::string& hash : {image.id, image.descriptor.sha3, image.descriptor.chunks[1]}) {
        metadata_.block(hash, "");
        EXPECT_EQ(status_of([&] { service_.find(image.id); }), 451u);
        EXPECT_EQ(status_of([&] { service_.add_descriptor(bytes(image.bytes)); }), 451u);
        EXPECT_EQ(status_of([&] { push_chunk(image, 0); }), 451u);
        metadata_.unblock(hash);
    }
}

TEST_F(ServiceTest, NothingIsTakenWhenTheDiskIsFull) {
    Service full(metadata_, storage_, {.image_size = 100, .user_quota = 0, .min_free = UINT64_MAX}, 1);
    EXPECT_EQ(status_of([&] { full.add_descriptor(bytes(TestImage("aaaa").bytes)); }), 507u);
    full.stop();
}

TEST_F(ServiceTest, UsesAreCounted) {
    const TestImage image("aaaa");
    push(image);
    service_.count_use(image.id);
    service_.count_use(image.id);
    service_.save_uses();
    service_.save_uses();
    EXPECT_EQ(metadata_.find_upload(image.id)->uses, 2u);
}

}  // namespace
}  // namespace registry::server
