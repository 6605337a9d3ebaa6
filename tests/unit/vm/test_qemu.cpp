#include "vm/qemu.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "halting_kernel.h"

namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using namespace std::chrono_literals;

// QEMU with a kernel that is none; with the real one it is driven in tests/system.
class Qemu : public testing::Test {
protected:
    void SetUp() override {
        std::string name = fs::temp_directory_path() / "qemu-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
        std::ofstream(folder_ / "initramfs") << "";
    }
    void TearDown() override { fs::remove_all(folder_); }

    vm::Machine machine() {
        vm::Machine machine;
        machine.qemu = vm::find_qemu(GVMKIT_QEMU);
        machine.accelerator = vm::Accelerator::tcg;
        machine.memory_bytes = 64 << 20;
        machine.kernel = folder_ / "vmlinux";
        machine.initramfs = folder_ / "initramfs";
        return machine;
    }

    vm::ExitReason wait(vm::Qemu& qemu) {
        std::optional<vm::ExitReason> exit_reason;
        asio::co_spawn(io_, qemu.ended(), [&](const std::exception_ptr&, vm::ExitReason e) {
            exit_reason = std::move(e);
            io_.stop();
        });
        io_.restart();
        io_.run_for(60s);
        EXPECT_TRUE(exit_reason) << "QEMU did not end in time";
        return exit_reason.value_or(vm::ExitReason{});
    }

    fs::path folder_;
    asio::io_context io_;
};

TEST_F(Qemu, NamesAMissingFile) {
    try {
        vm::Qemu::start(io_.get_executor(), machine());
        FAIL();
    } catch (const base::Error& e) {
        EXPECT_EQ(e.what(), "cannot open " + (folder_ / "vmlinux").string() + ": No such file or directory");
    }
}

TEST_F(Qemu, EndsWithQemusReason) {
    std::ofstream(folder_ / "vmlinux") << "not a kernel";
    const auto qemu = vm::Qemu::start(io_.get_executor(), machine());
    const vm::ExitReason exit_reason = wait(*qemu);
    EXPECT_EQ(exit_reason.code, 1);
    EXPECT_THAT(exit_reason.reason, testing::StartsWith("QEMU: ")) << exit_reason.last_lines;
    EXPECT_THAT(exit_reason.last_lines, testing::HasSubstr(exit_reason.reason.substr(6)));
}

TEST_F(Qemu, RunsConfinedUntilItIsStopped) {
    vm_test::write_halting_kernel(folder_ / "vmlinux");
    const auto qemu = vm::Qemu::start(io_.get_executor(), machine());
    const auto status = [pid = qemu->pid()](const char* key) {
        std::ifstream file("/proc/" + std::to_string(pid) + "/status");
        for (std::string line; std::getline(file, line);) {
            if (line.starts_with(key)) return line;
        }
        return std::string();
    };
    EXPECT_EQ(status("NoNewPrivs"), "NoNewPrivs:\t1");
    EXPECT_EQ(::getpgid(qemu->pid()), ::getpgrp());
    for (const auto deadline = std::chrono::steady_clock::now() + 60s; status("Seccomp:") != "Seccomp:\t2";) {
        ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "no seccomp filter: " << status("Seccomp:");
        io_.run_for(10ms);
    }
    EXPECT_EQ(std::stoull(status("SigBlk").substr(8), nullptr, 16) & 3, 3U) << "SIGHUP and SIGINT; QEMU itself blocks more";
    std::ifstream environment("/proc/" + std::to_string(qemu->pid()) + "/environ");
    EXPECT_EQ(environment.get(), std::ifstream::traits_type::eof());
    qemu->kill();
    const vm::ExitReason exit_reason = wait(*qemu);
    EXPECT_EQ(exit_reason.code, 137);
    EXPECT_EQ(exit_reason.reason, "the VM was stopped") << exit_reason.last_lines;
}

TEST_F(Qemu, TellsThatItWasKilledByAnother) {
    vm_test::write_halting_kernel(folder_ / "vmlinux");
    const auto qemu = vm::Qemu::start(io_.get_executor(), machine());
    ::kill(qemu->pid(), SIGKILL);
    EXPECT_EQ(wait(*qemu).reason, "QEMU was killed by signal 9 (perhaps the host is out of memory)");
}

TEST_F(Qemu, IsGoneAfterTheDestructor) {
    vm_test::write_halting_kernel(folder_ / "vmlinux");
    auto qemu = vm::Qemu::start(io_.get_executor(), machine());
    const pid_t pid = qemu->pid();
    std::string reason;
    asio::co_spawn(io_, qemu->ended(), [&](const std::exception_ptr&, const vm::ExitReason& exit_reason) { reason = exit_reason.reason; });
    io_.run_for(50ms);
    qemu.reset();
    EXPECT_LT(::kill(pid, 0), 0);
    io_.restart();
    io_.run_for(60s);  // ends by itself: nothing waits any more
    EXPECT_TRUE(io_.stopped());
    EXPECT_EQ(reason, "the VM was stopped");
}

TEST_F(Qemu, MayBeDestroyedBeforeAnythingRuns) {
    vm_test::write_halting_kernel(folder_ / "vmlinux");
    vm::Qemu::start(io_.get_executor(), machine()).reset();
    io_.run_for(60s);
    EXPECT_TRUE(io_.stopped());
}

}  // namespace
