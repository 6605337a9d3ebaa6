#include "runtime/guest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <fstream>
#include <future>

#include "base/temporary_folder.h"
#include "halting_kernel.h"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::awaitable;
using testing::HasSubstr;

constexpr auto kDeadline = 60s;

// QEMU itself, with a kernel that it refuses or that no agent runs on; tests/system has guests that answer.
class GuestTest : public testing::Test {
protected:
    vm::Machine machine() {
        vm::Machine machine;
        machine.qemu = vm::find_qemu(GVMKIT_QEMU);
        machine.accelerator = vm::Accelerator::tcg;
        machine.memory_bytes = 64 << 20;
        machine.kernel = folder_.path() / "vmlinux";
        machine.initramfs = folder_.path() / "initramfs";
        std::ofstream(machine.kernel) << "no kernel";
        std::ofstream(machine.initramfs) << "";
        return machine;
    }
    vm::Machine halting_machine() {
        vm::Machine machine = this->machine();
        vm_test::write_halting_kernel(machine.kernel);
        return machine;
    }

    void start(vm::Machine machine) {
        runtime::GuestEvents events;
        events.died = [this](const std::string& reason) { deaths_.push_back(reason); };
        guest_ = std::make_unique<runtime::Guest>(io_.get_executor(), std::move(machine), std::move(events));
    }
    template <typename T>
    std::future<T> begin(awaitable<T> work) {
        return asio::co_spawn(io_, std::move(work), asio::use_future);
    }
    void until(const std::function<bool()>& condition) {
        io_.restart();
        const auto deadline = std::chrono::steady_clock::now() + kDeadline;
        while (!condition())
            ASSERT_GT(io_.run_one_until(deadline), 0U) << "what the test waits for did not happen in time";
    }
    template <typename T>
    T wait(std::future<T> future) {
        until([&] { return future.wait_for(0s) == std::future_status::ready; });
        return future.get();
    }
    template <typename T>
    std::string error_of(std::future<T> future) {
        try {
            (void)wait(std::move(future));
        } catch (const base::Error& e) {
            return e.what();
        }
        return "no error";
    }

    base::TemporaryFolder folder_;
    asio::io_context io_;
    std::unique_ptr<runtime::Guest> guest_;
    std::vector<std::string> deaths_;
};

TEST_F(GuestTest, AVmThatDoesNotStartTellsWhy) {
    start(machine());
    EXPECT_THAT(error_of(begin(guest_->ready(kDeadline))), HasSubstr("the VM did not start: QEMU"));
    EXPECT_EQ(deaths_.size(), 1U);
}

TEST_F(GuestTest, AVmThatIsNotReadyInTimeIsKilled) {
    start(halting_machine());
    EXPECT_EQ(error_of(begin(guest_->ready(1s))), "the VM did not start: the VM's agent was not ready within 1 s");
    EXPECT_THAT(deaths_, testing::ElementsAre("the VM's agent was not ready within 1 s"));
}

TEST_F(GuestTest, AnEndThatIsWantedIsNoDeath) {
    start(halting_machine());
    std::future<agent::Ready> ready = begin(guest_->ready(kDeadline));
    wait(begin(guest_->end()));
    EXPECT_THAT(error_of(std::move(ready)), HasSubstr("the VM did not start"));
    EXPECT_THAT(deaths_, testing::IsEmpty());
    wait(begin(guest_->end()));  // once more does no harm
    EXPECT_THROW(wait(begin(guest_->request(agent::Request()))), runtime::EndedError);
}

TEST_F(GuestTest, ARequestToAVmThatDiedGivesTheReason) {
    start(machine());
    (void)error_of(begin(guest_->ready(kDeadline)));
    EXPECT_EQ(error_of(begin(guest_->request(agent::Request()))), "the VM died: " + deaths_.at(0));
}

}  // namespace
