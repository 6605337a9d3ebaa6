#include "registry/server/service.h"

#include <ctime>
#include <optional>

#include "base/hash.h"
#include "fixture.h"
#include "registry/server/errors.h"
#include "registry/server/tokens.h"

namespace registry::server {
namespace {

// An image whose descriptor says that its only chunk is so large.
TestImage of_size(const std::string& text, uint64_t size) {
    TestImage image(text, text.size());
    image.descriptor.size = size;
    image.descriptor.chunk_size = size;
    image.bytes = serialize(image.descriptor);
    image.id = base::sha256_hex(bytes(image.bytes));
    return image;
}

class ServiceTest : public RegistryOnEach {
protected:
    ~ServiceTest() override { service_.stop(); }

    void push(const TestImage& image) {
        service_.add_descriptor(bytes(image.bytes), "");
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

    Service service_{metadata_, storage_, {.image_size = 100, .user_quota = 16, .min_free = 0, .anonymous_quota = 1000, .min_chunk = 1}, 1};
};

WITH_EACH_DATA_BASE(ServiceTest);

TEST_P(ServiceTest, APushedImageIsFound) {
    const TestImage image("aaaabbbbc");
    EXPECT_FALSE(service_.status(image.id).known);
    push(image);
    EXPECT_EQ(service_.find(image.id, "").descriptor.sha3, image.descriptor.sha3);
    EXPECT_EQ(service_.find_by_hash(image.descriptor.sha3, "").id, image.id);
    EXPECT_EQ(status_of([&] { service_.find_by_hash(std::string(56, '0'), ""); }), 404u);
    EXPECT_EQ(status_of([&] { service_.find_by_hash("../x", ""); }), 400u);
    EXPECT_EQ(status_of([&] { service_.find("../x", ""); }), 404u);
}

TEST_P(ServiceTest, ADescriptorTooLargeOrBadIsRefused) {
    EXPECT_EQ(status_of([&] { service_.add_descriptor(bytes(TestImage(std::string(101, 'a')).bytes), ""); }), 400u);
    EXPECT_EQ(status_of([&] { service_.add_descriptor(bytes("x"), ""); }), 400u);
}

TEST_P(ServiceTest, OnlyTheOwnerTags) {
    const TestImage image("aaaa");
    const std::string alice = user("alice"), bob = user("bob");
    const Name name{"alice", "tools", "1"};
    EXPECT_EQ(status_of([&] { service_.attach(image.id, name, "alice", alice, true); }), 404u);
    service_.add_descriptor(bytes(image.bytes), "");
    EXPECT_EQ(status_of([&] { service_.attach(image.id, name, "alice", alice, true); }), 200u);
    EXPECT_EQ(status_of([&] { service_.attach(image.id, name, "alice", alice, false); }), 409u);
    push(image);
    EXPECT_EQ(status_of([&] { service_.attach(image.id, name, "bob", bob, false); }), 403u);
    EXPECT_EQ(status_of([&] { service_.attach(image.id, name, "alice", bob, false); }), 401u);
    EXPECT_EQ(status_of([&] { service_.attach(image.id, {"alice", "..", "1"}, "alice", alice, false); }), 400u);
    EXPECT_EQ(status_of([&] { service_.find_by_tag("alice/tools:1", ""); }), 404u);
    service_.attach(image.id, name, "alice", alice, false);
    EXPECT_EQ(service_.find_by_tag("alice/tools:1", "").id, image.id);
}

TEST_P(ServiceTest, BlockedHashesAreNeitherTakenNorServed) {
    const TestImage image("aaaabbbb");
    push(image);
    for (const std::string& hash : {image.id, image.descriptor.sha3, image.descriptor.chunks[1]}) {
        metadata_.block(hash, "");
        EXPECT_EQ(status_of([&] { service_.find(image.id, ""); }), 451u);
        EXPECT_EQ(status_of([&] { service_.add_descriptor(bytes(image.bytes), ""); }), 451u);
        EXPECT_EQ(status_of([&] { push_chunk(image, 0); }), 451u);
        metadata_.unblock(hash);
    }
}

TEST_P(ServiceTest, NothingIsTakenWhenTheDiskIsFull) {
    Service full(metadata_, storage_, {.image_size = 100, .user_quota = 0, .min_free = UINT64_MAX, .min_chunk = 1}, 1);
    EXPECT_EQ(status_of([&] { full.add_descriptor(bytes(TestImage("aaaa").bytes), ""); }), 507u);
    full.stop();
}

TEST_P(ServiceTest, AChunksWholeLengthIsReserved) {
    const uint64_t free = storage_.free_bytes();
    Service tight(metadata_, storage_, {.image_size = free, .user_quota = 0, .min_free = free / 2, .anonymous_quota = free, .min_chunk = 1},
                  1);
    const auto begin = [&](const TestImage& image) {
        tight.add_descriptor(bytes(image.bytes), "");
        metadata_.set_known(image.id);
        return tight.begin_chunk({.descriptor = image.id,
                                  .number = "0",
                                  .sha256 = image.descriptor.chunks[0],
                                  .position = "0",
                                  .length = std::to_string(image.descriptor.size)});
    };
    // Two that only one fits, whatever another program does to the disk meanwhile.
    const TestImage first = of_size("first", free / 2 - free / 8);
    const TestImage second = of_size("second", free / 2 - free / 8);
    std::optional<Service::Incoming> incoming = begin(first);
    EXPECT_EQ(status_of([&] { (void)begin(second); }), 507u);
    incoming.reset();
    EXPECT_EQ(status_of([&] { (void)begin(second); }), 200u);
    tight.stop();
}

// However large their quota is, there is room for users.
TEST_P(ServiceTest, UploadsWithoutALoginLeaveHalfOfTheDisk) {
    const uint64_t free = storage_.free_bytes();
    Service small(metadata_, storage_,
                  {.image_size = free, .user_quota = free, .min_free = free - free / 8, .anonymous_quota = free, .min_chunk = 1}, 1);
    const TestImage image = of_size("image", free / 8 / 8 * 5);
    small.add_descriptor(bytes(image.bytes), "");
    const auto begin = [&] {
        (void)small.begin_chunk({.descriptor = image.id,
                                 .number = "0",
                                 .sha256 = image.descriptor.chunks[0],
                                 .position = "0",
                                 .length = std::to_string(image.descriptor.size)});
    };
    EXPECT_EQ(status_of(begin), 507u);
    metadata_.set_known(image.id);
    EXPECT_EQ(status_of(begin), 200u);
    small.stop();
}

TEST_P(ServiceTest, UploadsWithoutALoginHaveAQuotaInAll) {
    Service small(metadata_, storage_, {.image_size = 100, .user_quota = 100, .min_free = 0, .anonymous_quota = 6, .min_chunk = 1}, 1);
    const TestImage one("aaaa"), two("bbbb");
    const std::string alice = user("alice");
    const auto push_to = [&](const TestImage& image) {
        small.add_descriptor(bytes(image.bytes), "");
        Service::Incoming chunk = small.begin_chunk(
            {.descriptor = image.id, .number = "0", .sha256 = image.descriptor.chunks[0], .position = "0", .length = "4"});
        chunk.writer->write(bytes(image.chunks[0]));
        small.end_chunk(chunk);
    };
    push_to(one);
    EXPECT_EQ(metadata_.anonymous_bytes(), 4u);
    push_to(one);  // what is there already takes nothing
    EXPECT_EQ(metadata_.anonymous_bytes(), 4u);
    EXPECT_EQ(status_of([&] { push_to(two); }), 507u);
    // A user who is known asks for a tag before the chunks.
    small.attach(two.id, {"alice", "tools", "1"}, "alice", alice, true);
    EXPECT_EQ(status_of([&] { push_to(two); }), 200u);
    EXPECT_EQ(metadata_.anonymous_bytes(), 4u);
    small.stop();
}

TEST_P(ServiceTest, ChunksHaveASmallestSize) {
    Service large(metadata_, storage_, {.image_size = 100, .min_free = 0, .min_chunk = 5}, 1);
    EXPECT_EQ(status_of([&] { large.add_descriptor(bytes(TestImage("aaaabbbb").bytes), ""); }), 400u);
    EXPECT_EQ(status_of([&] { large.add_descriptor(bytes(TestImage("aaa").bytes), ""); }), 200u);
    EXPECT_EQ(status_of([&] { large.add_descriptor(bytes(TestImage("aaaaabbbbb", 5).bytes), ""); }), 200u);
    large.stop();
}

TEST_P(ServiceTest, AnAddressPushesSoOftenInAnHour) {
    Service slow(metadata_, storage_, {.image_size = 100, .min_free = 0, .min_chunk = 1, .hourly_pushes = 2}, 1);
    const auto push_from = [&](const std::string& text, const std::string& address) {
        return status_of([&] { slow.add_descriptor(bytes(TestImage(text).bytes), address); });
    };
    EXPECT_EQ(push_from("a", "192.0.2.1"), 200u);
    EXPECT_EQ(push_from("b", "192.0.2.1"), 200u);
    EXPECT_EQ(push_from("c", "192.0.2.1"), 429u);
    EXPECT_EQ(push_from("a", "192.0.2.1"), 200u) << "it is known already";
    EXPECT_EQ(push_from("c", "192.0.2.2"), 200u);
    EXPECT_EQ(push_from("d", ""), 200u);
    slow.stop();
}

TEST_P(ServiceTest, PushingAgainDoesNotRenew) {
    const TestImage image("aaaa");
    add(image, State::partial, 1000);
    service_.add_descriptor(bytes(image.bytes), "");
    EXPECT_EQ(metadata_.expire(1000, 10), 1u);
    EXPECT_FALSE(metadata_.find_upload(image.id));
}

TEST_P(ServiceTest, UsesAreCounted) {
    const TestImage image("aaaa");
    push(image);
    service_.count_use(image.id);
    service_.count_use(image.id);
    service_.tick();
    service_.tick();
    EXPECT_EQ(metadata_.find_upload(image.id)->uses, 2u);
}

}  // namespace
}  // namespace registry::server
