// By hand, from the NBD protocol's document; nbdinfo and nbdcopy judge it in system.thin.
#include "thin/nbd_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>

#include "thin_image.h"

namespace {

using thin_test::random_bytes;

std::string big(uint64_t value, size_t bytes) {
    std::string text;
    for (size_t i = bytes; i-- > 0;)
        text.push_back(static_cast<char>(value >> (8 * i) & 0xff));
    return text;
}

class NbdServerTest : public testing::Test {
protected:
    NbdServerTest() {
        auto [ours, theirs] = base::socket_pair();
        client = std::move(ours);
        const auto read = [this](uint64_t position, std::span<std::byte> buffer) {
            if (!there) return false;
            std::copy_n(image.begin() + static_cast<std::ptrdiff_t>(position), buffer.size(), buffer.begin());
            return true;
        };
        server = std::make_unique<thin::NbdServer>(image.size(), read, std::move(theirs));
    }

    void send(const std::string& bytes) { base::write_all(client.get(), bytes, "the connection"); }
    std::string receive(size_t size) {
        std::string bytes(size, '\0');
        bytes.resize(base::read_full(client.get(), std::as_writable_bytes(std::span(bytes)), "the connection"));
        return bytes;
    }
    void expect(const std::string& bytes) { EXPECT_EQ(receive(bytes.size()), bytes); }
    void expect_end() { EXPECT_EQ(receive(1), ""); }

    void greet() {
        expect("NBDMAGICIHAVEOPT" + big(3, 2));
        send(big(3, 4));
    }
    void send_option(uint32_t number, const std::string& data) { send("IHAVEOPT" + big(number, 4) + big(data.size(), 4) + data); }
    void expect_option_reply(uint32_t option, uint32_t type, const std::string& data) {
        expect(big(0x3e889045565a9, 8) + big(option, 4) + big(type, 4) + big(data.size(), 4) + data);
    }
    void go() {
        greet();
        send_option(7, big(0, 4) + big(0, 2));
        expect_option_reply(7, 3, big(0, 2) + big(kExport, 8) + big(259, 2));
        expect_option_reply(7, 1, "");
    }
    void request(uint16_t type, uint64_t handle, uint64_t offset, uint32_t length) {
        send(big(0x25609513, 4) + big(0, 2) + big(type, 2) + big(handle, 8) + big(offset, 8) + big(length, 4));
    }
    std::string text(uint64_t from, size_t size) const { return {reinterpret_cast<const char*>(image.data()) + from, size}; }
    static std::string reply(uint64_t handle, uint32_t error) { return big(0x67446698, 4) + big(error, 4) + big(handle, 8); }

    static constexpr uint64_t kExport = 3 * gvmi::kThinBlock + 4096;
    const std::vector<std::byte> image = random_bytes(3 * gvmi::kThinBlock + 1000);
    std::atomic<bool> there{true};
    base::UniqueFd client;
    std::unique_ptr<thin::NbdServer> server;
};

TEST_F(NbdServerTest, Reads) {
    go();
    request(0, 7, 100, 50);
    expect(reply(7, 0) + text(100, 50));
    request(0, 8, 0, 3 * gvmi::kThinBlock);
    expect(reply(8, 0) + text(0, 3 * gvmi::kThinBlock));
    request(0, 9, 3 * gvmi::kThinBlock + 900, 200);
    expect(reply(9, 0) + text(3 * gvmi::kThinBlock + 900, 100) + std::string(100, '\0'));
    request(0, 10, kExport - 4, 4);
    expect(reply(10, 0) + std::string(4, '\0'));
    request(2, 11, 0, 0);
    expect_end();
}

TEST_F(NbdServerTest, AnswersOthersWhileAReadWaits) {
    go();
    there = false;
    request(0, 1, 0, 4);
    request(4, 2, 0, 4096);
    expect(reply(2, 1));
    there = true;
    server->wake();
    expect(reply(1, 0) + text(0, 4));
}

TEST_F(NbdServerTest, ServesTheOldWayToChooseAnExport) {
    greet();
    send_option(1, "any name");
    expect(big(kExport, 8) + big(259, 2));
    request(0, 1, 0, 4);
    expect(reply(1, 0) + text(0, 4));
}

TEST_F(NbdServerTest, AnswersOtherOptions) {
    greet();
    send_option(8, "");
    expect_option_reply(8, 0x80000001, "");
    send_option(3, "");
    expect_option_reply(3, 2, big(0, 4));
    expect_option_reply(3, 1, "");
    send_option(6, big(0, 4) + big(1, 2) + big(3, 2));
    expect_option_reply(6, 3, big(0, 2) + big(kExport, 8) + big(259, 2));
    expect_option_reply(6, 3, big(3, 2) + big(1, 4) + big(4096, 4) + big(32 << 20, 4));
    expect_option_reply(6, 1, "");
    send_option(7, "abc");
    expect_option_reply(7, 0x80000003, "");
    send_option(2, "");
    expect_option_reply(2, 1, "");
    expect_end();
}

TEST_F(NbdServerTest, RefusesWhatIsNotARead) {
    go();
    request(0, 1, kExport - 1, 2);
    expect(reply(1, 22));
    request(0, 2, uint64_t{1} << 63, 1);
    expect(reply(2, 22));
    request(0, 3, 0, 0);
    expect(reply(3, 22));
    request(0, 4, 0, 0xffffffff);
    expect(reply(4, 22));
    request(4, 5, 0, 4096);  // trim
    expect(reply(5, 1));
    request(1, 6, 0, 4);
    expect_end();
}

TEST_F(NbdServerTest, EndsAtAViolation) {
    greet();
    send("not an option, but much longer");
    expect_end();
}

TEST_F(NbdServerTest, EndsAtAnOptionThatIsTooLong) {
    greet();
    send("IHAVEOPT" + big(7, 4) + big(1 << 20, 4));
    expect_end();
}

TEST_F(NbdServerTest, EndsWithItsOwner) {
    go();
    server.reset();
    expect_end();
}

}  // namespace
