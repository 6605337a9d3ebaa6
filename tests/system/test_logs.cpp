// What is kept of a VM's life in W/logs/: enough, and never so much that a guest could fill the host's disk.
#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>

#include "fixture.h"

namespace system_test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr uint64_t kMostOfAGuest = 16 << 20;  // runtime/guest_log.h

class Logs : public SystemTest {
protected:
    std::string log(const std::string& name) const { return text_of(workdir / "logs" / name); }

    uint64_t size_of_logs(const std::string& prefix) const {
        uint64_t size = 0;
        for (const auto& file : fs::directory_iterator(workdir / "logs")) {
            if (file.path().filename().string().starts_with(prefix)) size += file.file_size();
        }
        return size;
    }
};

TEST_F(Logs, OfAnEntrypointThatFloodsAreBoundedAndHaveItsLatest) {
    task_package = image("flood");
    deploy();
    const auto vm = start({}, {"start-entrypoint"});
    vm->until([&] {
        vm->serve(20ms);
        return log("ya-runtime-vm.log").find("the entrypoint has ended with code 3") != std::string::npos;
    });
    EXPECT_TRUE(log("entrypoint.log").ends_with("\nthe end\n"));
    EXPECT_LE(size_of_logs("entrypoint.log"), kMostOfAGuest);
    EXPECT_GT(size_of_logs("entrypoint.log"), kMostOfAGuest / 4);
    EXPECT_EQ(vm->sh("echo alive").out, "alive\n");
    vm->wait(vm->client().shutdown());
    EXPECT_EQ(vm->exit_code(), 0);
}

TEST_F(Logs, OfTheConsoleAreBounded) {
    deploy();
    fs::create_directories(workdir / "logs");
    std::ofstream(workdir / "logs/console.log") << std::string((8 << 20) - 100, 'x');  // an emulated serial line is slow
    const auto vm = start();
    EXPECT_EQ(vm->sh("printf 'a \\033[2Jline\\n' > /dev/console").code, 0);
    const auto flood = vm->begin({"/bin/sh", "-c", "yes 'of the flood' > /dev/console"});
    vm->until([&] {
        vm->serve(20ms);
        return log("console.log.1").size() > 1000 && log("console.log").size() > 1000;
    });
    EXPECT_EQ(vm->run({"echo", "alive"}).out, "alive\n");
    vm->kill(flood->pid);
    vm->finish(flood);
    EXPECT_THAT(log("console.log.1").substr((8 << 20) - 100), HasSubstr("a ?[2Jline\n"));
    EXPECT_THAT(log("console.log"), HasSubstr("of the flood\n"));
    EXPECT_LE(size_of_logs("console.log"), kMostOfAGuest);
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(Logs, OfTheRuntimeAreRotated) {
    deploy();
    fs::create_directories(workdir / "logs");
    for (const char* name : {"ya-runtime-vm.log", "ya-runtime-vm.log.1", "ya-runtime-vm.log.2", "ya-runtime-vm.log.3"})
        std::ofstream(workdir / "logs" / name) << std::string(10 << 20, 'x');
    EXPECT_EQ(start()->shutdown(), 0);
    EXPECT_THAT(log("ya-runtime-vm.log"), HasSubstr("the VM is up"));
    EXPECT_LT(log("ya-runtime-vm.log").size(), 1 << 20);
    EXPECT_LE(size_of_logs("ya-runtime-vm.log"), 40 << 20);
    EXPECT_FALSE(fs::exists(workdir / "logs/ya-runtime-vm.log.4"));
}

TEST_F(Logs, OnStderrAreOfTheLevelThatTheEnvironmentSays) {
    deploy();
    ASSERT_EQ(::setenv("RUST_LOG", "debug", 1), 0);
    EXPECT_EQ(start()->shutdown(), 0);
    EXPECT_THAT(text_of(workdir / "stderr.txt"), HasSubstr("ya-runtime-vm: request 1 has command 2\n"));
    EXPECT_THAT(log("ya-runtime-vm.log"), HasSubstr("debug: request 1 has command 2\n"));
    fs::remove_all(workdir / "logs");
    fs::remove(workdir / "stderr.txt");
    ASSERT_EQ(::setenv("YA_RUNTIME_VM_LOG", "ya_runtime_vm=error,trace", 1), 0);  // goes before the other
    EXPECT_EQ(start()->shutdown(), 0);
    EXPECT_EQ(text_of(workdir / "stderr.txt"), "");
    EXPECT_THAT(log("ya-runtime-vm.log"), HasSubstr("info: the VM is up\n"));
    EXPECT_THAT(log("ya-runtime-vm.log"), Not(HasSubstr("debug: ")));
    ::unsetenv("RUST_LOG");
    ::unsetenv("YA_RUNTIME_VM_LOG");
}

}  // namespace
}  // namespace system_test
