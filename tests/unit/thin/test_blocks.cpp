#include "thin/blocks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "base/error.h"
#include "thin_image.h"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;
using namespace std::chrono_literals;
using http_test::CannedServer;
using thin_test::partial;
using thin_test::random_bytes;
using thin_test::serving;
using thin_test::table_of;

// Local servers are at an address that is not public.
thin::FetchOptions options() {
    thin::FetchOptions options;
    options.policy.allow = {"127.0.0.1"};
    options.connections = 2;
    options.all = false;
    options.patience = 1s;
    options.silence = 0s;
    return options;
}

class BlocksTest : public testing::Test {
protected:
    std::vector<std::byte> read(thin::Blocks& blocks, uint64_t position, size_t size) {
        std::vector<std::byte> data(size);
        blocks.read_waiting(position, data);
        return data;
    }
    std::vector<std::byte> part(uint64_t position, size_t size) const {
        const auto from = image.begin() + static_cast<std::ptrdiff_t>(position);
        return {from, from + static_cast<std::ptrdiff_t>(size)};
    }
    // Reads all through a server that answers like this, and expects the reason.
    void expect_failure(const std::function<void(const std::string&, int)>& answer, const char* reason) {
        CannedServer server(answer);
        thin::Blocks blocks(table_of(image, {server.url()}), nullptr, options());
        EXPECT_THAT([&] { read(blocks, 0, 10); }, ThrowsMessage<base::Error>(AllOf(HasSubstr("gave what was missing"), HasSubstr(reason))));
    }

    const std::vector<std::byte> image = random_bytes(5 * gvmi::kThinBlock + 1234);
    base::TemporaryFolder folder;
    thin::BlockCache cache{folder.path(), {.bytes = uint64_t{1} << 30, .free = 0}};
};

TEST_F(BlocksTest, FetchesWhatIsRead) {
    CannedServer server(serving(image));
    thin::Blocks blocks(table_of(image, {server.url()}), &cache, options());
    EXPECT_EQ(read(blocks, 2 * gvmi::kThinBlock + 5, 100), part(2 * gvmi::kThinBlock + 5, 100));
    EXPECT_EQ(read(blocks, gvmi::kThinBlock - 10, 20), part(gvmi::kThinBlock - 10, 20)) << "over a border";
    EXPECT_EQ(read(blocks, image.size() - 5, 5), part(image.size() - 5, 5));
    EXPECT_THROW(read(blocks, image.size() - 5, 6), base::Error);
}

TEST_F(BlocksTest, FetchesEachBlockOnce) {
    CannedServer server(serving(image));
    for (int round = 0; round < 2; round++) {
        thin::Blocks blocks(table_of(image, {server.url()}), &cache, options());
        EXPECT_EQ(read(blocks, 0, image.size()), image);
        EXPECT_EQ(blocks.fetched_bytes(), round == 0 ? image.size() : 0u);
        EXPECT_TRUE(blocks.complete());
    }
}

TEST_F(BlocksTest, NeedsNoCache) {
    CannedServer server(serving(image));
    thin::Blocks blocks(table_of(image, {server.url()}), nullptr, options());
    EXPECT_EQ(read(blocks, 0, image.size()), image);
}

TEST_F(BlocksTest, FetchesAllInTheBackground) {
    CannedServer server(serving(image));
    thin::FetchOptions all = options();
    all.all = true;
    thin::Blocks blocks(table_of(image, {server.url()}), &cache, all);
    while (!blocks.complete())
        std::this_thread::sleep_for(1ms);
    EXPECT_EQ(blocks.fetched_bytes(), image.size());
}

TEST_F(BlocksTest, FetchesTheRecordedStartFirst) {
    CannedServer server(serving(image));
    gvmi::ThinTable table = table_of(image, {server.url()});
    table.first_reads = {4, 1};
    thin::FetchOptions one = options();
    one.connections = 1;
    const thin::Blocks blocks(table, &cache, one);
    while (blocks.fetched_bytes() < 2 * gvmi::kThinBlock)
        std::this_thread::sleep_for(1ms);
    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 2u);
    EXPECT_EQ(thin_test::range_in(requests[0]).first, 4 * gvmi::kThinBlock);
    EXPECT_EQ(thin_test::range_in(requests[1]).first, gvmi::kThinBlock);
}

TEST_F(BlocksTest, FetchesAgainWhatWasEvicted) {
    CannedServer server(serving(image));
    thin::Blocks blocks(table_of(image, {server.url()}), &cache, options());
    EXPECT_EQ(read(blocks, 0, image.size()), image);
    (void)cache.prune(0);
    thin::Blocks later(table_of(image, {server.url()}), &cache, options());
    EXPECT_EQ(read(later, 0, image.size()), image);
    EXPECT_EQ(later.fetched_bytes(), image.size());
}

TEST_F(BlocksTest, TrustsTheCacheInTheBackgroundAndComparesWhatIsRead) {
    CannedServer server(serving(image));
    thin::FetchOptions all = options();
    all.all = true;
    const gvmi::ThinTable table = table_of(image, {server.url()});
    for (size_t at = 0; at < image.size(); at += gvmi::kThinBlock) {
        std::vector<std::byte> block = part(at, std::min<size_t>(gvmi::kThinBlock, image.size() - at));
        if (at == gvmi::kThinBlock) block[0] ^= std::byte{1};
        ASSERT_TRUE(cache.store(table.hashes[at / gvmi::kThinBlock], block));
    }
    thin::Blocks blocks(table, &cache, all);
    while (!blocks.complete())
        std::this_thread::sleep_for(1ms);
    EXPECT_EQ(blocks.fetched_bytes(), 0u);
    EXPECT_EQ(read(blocks, 0, image.size()), image);
    EXPECT_EQ(blocks.fetched_bytes(), gvmi::kThinBlock);
}

TEST_F(BlocksTest, AsksTheNextServer) {
    CannedServer wrong([this](const std::string& head, int fd) {
        std::string text = partial(image, head);
        text.back() = static_cast<char>(text.back() ^ 1);
        http_test::put(fd, text);
    });
    CannedServer right(serving(image));
    thin::Blocks blocks(table_of(image, {wrong.url(), right.url()}), &cache, options());
    EXPECT_EQ(read(blocks, 0, image.size()), image);
    EXPECT_FALSE(wrong.requests().empty());
}

TEST_F(BlocksTest, WaitsForAServerThatFailsForAWhile) {
    std::atomic<int> failures = 3;
    CannedServer server([&](const std::string& head, int fd) {
        if (failures-- > 0) return http_test::put(fd, http_test::answer("", "", "503 Busy"));
        http_test::put(fd, partial(image, head));
    });
    std::atomic<int> notices = 0;
    thin::FetchOptions patient = options();
    patient.patience = 60s;
    patient.notice = [&](const std::string& text) {
        EXPECT_THAT(text, HasSubstr("503"));
        notices++;
    };
    thin::Blocks blocks(table_of(image, {server.url()}), &cache, patient);
    EXPECT_EQ(read(blocks, 0, 10), part(0, 10));
    EXPECT_EQ(notices, 1);
}

TEST_F(BlocksTest, NeverPassesWrongBytesOn) {
    expect_failure(
        [this](const std::string& head, int fd) {
            std::string text = partial(image, head);
            char& first = text[text.find("\r\n\r\n") + 4];
            first = static_cast<char>(first ^ 1);
            http_test::put(fd, text);
        },
        "wrong bytes at 0");
    expect_failure([](const std::string&, int fd) { http_test::put(fd, http_test::answer(std::string(1000, 'x'))); },
                   "does not serve ranges");
    expect_failure([](const std::string&, int fd) { http_test::put(fd, http_test::answer("", "", "404 Not Found")); }, "status 404");
    expect_failure(
        [](const std::string&, int fd) {
            http_test::put(fd, http_test::answer(std::string(1000, 'x'), "Content-Range: bytes 5-1004/2000\r\n", "206 Partial Content"));
        },
        "it sent the range");
    expect_failure([this](const std::string& head, int fd) { http_test::put(fd, partial(image, head).substr(0, 5000)); }, "");
    expect_failure(
        [this](const std::string& head, int fd) {
            const auto [first, size] = thin_test::range_in(head);
            http_test::put(fd, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes " + std::to_string(first) + "-" +
                                   std::to_string(first + size - 1) + "/" + std::to_string(image.size()) + "\r\n\r\n" +
                                   std::string(2 * size, 'x'));
        },
        "wrong bytes");
}

TEST_F(BlocksTest, FollowsRedirectsAsThePolicyAllows) {
    CannedServer server(serving(image));
    CannedServer redirecting([&](const std::string&, int fd) {
        http_test::put(fd, http_test::answer("", "Location: " + server.url() + "/x\r\n", "302 Found"));
    });
    thin::Blocks blocks(table_of(image, {redirecting.url()}), &cache, options());
    EXPECT_EQ(read(blocks, 0, 10), part(0, 10));

    thin::FetchOptions strict = options();
    strict.policy.allow = {redirecting.url().substr(7, redirecting.url().find('/', 7) - 7)};
    thin::Blocks refused(table_of(image, {redirecting.url()}), nullptr, strict);
    EXPECT_THAT([&] { read(refused, 0, 10); }, ThrowsMessage<base::Error>(HasSubstr("its address is not public")));

    CannedServer circle([&](const std::string&, int fd) { http_test::put(fd, http_test::answer("", "Location: /x\r\n", "302 Found")); });
    thin::Blocks endless(table_of(image, {circle.url()}), nullptr, options());
    EXPECT_THAT([&] { read(endless, 0, 10); }, ThrowsMessage<base::Error>(HasSubstr("more than 5 redirects")));
}

TEST_F(BlocksTest, ConnectsToNoAddressThatIsNotPublic) {
    CannedServer server(serving(image));
    thin::FetchOptions strict = options();
    strict.policy.allow = {};
    thin::Blocks blocks(table_of(image, {server.url()}), nullptr, strict);
    EXPECT_THAT([&] { read(blocks, 0, 10); }, ThrowsMessage<base::Error>(HasSubstr("its address is not public")));
    strict.policy.listed_only = true;
    thin::Blocks unlisted(table_of(image, {server.url()}), nullptr, strict);
    EXPECT_THAT([&] { read(unlisted, 0, 10); }, ThrowsMessage<base::Error>(HasSubstr("has not allowed its host")));
    EXPECT_TRUE(server.requests().empty());
}

}  // namespace
