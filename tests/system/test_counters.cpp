// Runtime status events (docs/spec/exe-unit.md, "start: the pipe"), for a supervisor that asks for them: what a VM uses, and how it ends.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>

#include <csignal>

#include "base/error.h"
#include "base/fd.h"
#include "fixture.h"

namespace system_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kIn = "golem.usage.network.in-mib";
constexpr const char* kOut = "golem.usage.network.out-mib";
constexpr const char* kStorage = "golem.usage.storage.used-mib";

class CountersTest : public SystemTest {
protected:
    // What a counter says now; -1: nothing yet.
    static double value(const Runtime& runtime, const std::string& name) {
        double last = -1;
        for (const api::RuntimeStatus& status : runtime.told()) {
            if (status.has_counter() && status.counter().name() == name) last = status.counter().value();
        }
        return last;
    }

    static std::vector<std::string> states(const Runtime& runtime) {
        std::vector<std::string> found;
        for (const api::RuntimeStatus& status : runtime.told()) {
            if (status.has_state()) found.push_back(status.state().name() + ' ' + status.state().value());
        }
        return found;
    }

    static void expect_at_least(Runtime& runtime, const std::string& name, double least) {
        runtime.until([&] { return value(runtime, name) >= least; });
    }
};

TEST_F(CountersTest, NoneUnlessAskedFor) {
    deploy();
    auto runtime = start();
    EXPECT_EQ(runtime->sh("dd if=/dev/zero of=/file bs=1M count=4 2>&1").code, 0);
    EXPECT_EQ(runtime->shutdown(), 0);
    EXPECT_TRUE(runtime->told().empty());
}

TEST_F(CountersTest, Storage) {
    deploy({"--volume-override", R"({"/shared":{"host":{}},"/own":{"storage":{"size":"64 MiB"}}})"});
    auto runtime = start({"--counters", "1"});
    runtime->until([&] { return value(*runtime, kStorage) >= 0; });
    EXPECT_EQ(value(*runtime, kIn), 0);
    EXPECT_EQ(value(*runtime, kOut), 0);
    double before = value(*runtime, kStorage);
    EXPECT_LT(before, 20);  // the file systems themselves
    for (const char* file : {"/root-file", "/shared/file", "/own/file"}) {
        EXPECT_EQ(runtime->run({"sh", "-c", "dd if=/dev/urandom of=$0 bs=1M count=6 2>&1 && sync", file}).code, 0);
        expect_at_least(*runtime, kStorage, before + 5);
        before = value(*runtime, kStorage);
    }
    // The last figures are there before Shutdown is answered, whatever the interval.
    EXPECT_EQ(runtime->sh("dd if=/dev/urandom of=/more bs=1M count=6 2>&1 && sync").code, 0);
    EXPECT_EQ(runtime->shutdown(), 0);
    EXPECT_GE(value(*runtime, kStorage), before + 5);
    EXPECT_THAT(states(*runtime), testing::IsEmpty());  // of which the supervisor would log a warning each
}

TEST_F(CountersTest, NetworkBothWays) {
    const base::UniqueFd peer(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ASSERT_EQ(::bind(peer.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(::getsockname(peer.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    deploy();
    auto runtime = start({"--counters", "1", "--vpn-endpoint", "udp://127.0.0.1:" + std::to_string(ntohs(address.sin_port))});
    api::CreateNetwork request;
    request.add_networks()->set_addr("192.168.8.0");
    request.mutable_networks(0)->set_mask("24");
    request.mutable_networks(0)->set_if_addr("192.168.8.2");
    const std::string endpoint = runtime->wait(runtime->client().network(request)).udp_datagram();
    ASSERT_THAT(endpoint, testing::StartsWith("127.0.0.1:"));
    address.sin_port = htons(static_cast<uint16_t>(std::stoi(endpoint.substr(10))));

    // Not all at once: a frame for which QEMU has no room is dropped.
    std::string frame("\xff\xff\xff\xff\xff\xff\x90\x13\x00\x00\x00\x09\x88\xb5", 14);
    frame.append(1000, 'x');
    double received = 0;
    runtime->until([&] {
        for (int i = 0; i < 20; i++)
            (void)::sendto(peer.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&address), sizeof address);
        received = value(*runtime, kIn);
        return received >= 1;
    });
    EXPECT_LT(value(*runtime, kOut), 0.1);

    // Nobody answers; each ping is 60,000 bytes in fragments.
    (void)runtime->sh("arp -s 192.168.8.3 90:13:00:00:00:09; for i in $(seq 20); do ping -c 1 -W 1 -s 60000 192.168.8.3 & done; wait");
    expect_at_least(*runtime, kOut, 1);
    EXPECT_LT(value(*runtime, kOut), 2);
    EXPECT_GE(value(*runtime, kIn), received);
    EXPECT_EQ(runtime->shutdown(), 0);
}

TEST_F(CountersTest, StatesSayThatTheVmIsUpAndThatItDied) {
    deploy();
    auto runtime = start({"--states"});
    runtime->until([&] { return !runtime->told().empty(); });
    EXPECT_THAT(states(*runtime), ElementsAre(R"(vm {"state":"up"})"));
    ASSERT_NE(runtime->qemu_pid(), 0);
    ASSERT_EQ(::kill(runtime->qemu_pid(), SIGKILL), 0);
    runtime->until([&] { return states(*runtime).size() == 2; });
    EXPECT_THAT(states(*runtime)[1], HasSubstr(R"(vm {"reason":"QEMU was killed by signal 9)"));
    EXPECT_THAT(states(*runtime)[1], HasSubstr(R"("state":"died"})"));
    EXPECT_EQ(runtime->shutdown(), 0);
    EXPECT_EQ(runtime->told().size(), 2U) << "counters were not asked for";
}

}  // namespace
}  // namespace system_test
