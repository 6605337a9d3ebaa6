#include "runtime/volumes/share_sync.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <functional>
#include <future>
#include <memory>

#include "share_fixture.h"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using share_test::Share;

class ShareSync : public Share {
protected:
    void start() {
        sync_ = std::make_unique<runtime::ShareSync>(io_.get_executor(), top() / "volumes", top(), runtime::GuestOwner{1000, 1000});
    }
    void until(const std::function<bool()>& condition) {
        io_.restart();
        const auto deadline = std::chrono::steady_clock::now() + 60s;
        while (!condition()) {
            ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "what the test waits for did not happen in time";
            io_.run_one_for(10ms);
        }
    }
    void wait(asio::awaitable<void> work) {
        auto future = asio::co_spawn(io_, std::move(work), asio::use_future);
        until([&] { return future.wait_for(0s) == std::future_status::ready; });
        future.get();
    }

    asio::io_context io_;
    std::unique_ptr<runtime::ShareSync> sync_;
};

TEST_F(ShareSync, WhatTheHostPutThereIsTheGuestsWhenAProcessStarts) {
    start();
    host_makes(volume / "input", 0640);
    wait(sync_->process_starts());
    EXPECT_EQ(guest_mode(volume / "input"), S_IFREG | 0640U);
    EXPECT_EQ(attribute(volume / "input", "user.virtfs.uid"), 1000U);
}

TEST_F(ShareSync, WhatTheGuestWroteIsTheHostsWhenAProcessHasEnded) {
    start();
    wait(sync_->process_starts());
    guest_makes(volume / "tool", S_IFREG | 0550, "tool");
    wait(sync_->process_ended());
    EXPECT_EQ(mode(volume / "tool"), S_IFREG | 0550U);
}

// QEMU could not open a file whose own mode forbids it, so exact modes wait for the last process.
TEST_F(ShareSync, ModesStayWideWhileAnyProcessRuns) {
    start();
    wait(sync_->process_starts());
    wait(sync_->process_starts());
    guest_makes(volume / "tool", S_IFREG | 0550, "tool");
    wait(sync_->process_ended());
    EXPECT_EQ(mode(volume / "tool"), S_IFREG | 0750U);
    wait(sync_->process_ended());
    EXPECT_EQ(mode(volume / "tool"), S_IFREG | 0550U);
}

TEST_F(ShareSync, ModesStayWideWhileAnythingLives) {
    start();
    wait(sync_->process_starts());
    guest_makes(volume / "tool", S_IFREG | 0550, "tool");
    sync_->set_living(true);
    wait(sync_->process_ended());
    EXPECT_EQ(mode(volume / "tool"), S_IFREG | 0750U);
    sync_->set_living(false);
    until([&] { return mode(volume / "tool") == (S_IFREG | 0550U); });
}

// The guest may say so as often as it likes.
TEST_F(ShareSync, AFloodOfChangesEndsWithTheLastOne) {
    start();
    wait(sync_->process_starts());
    guest_makes(volume / "tool", S_IFREG | 0550, "tool");
    for (int i = 0; i < 100'001; i++)
        sync_->set_living(i % 2 == 0);
    wait(sync_->process_ended());
    EXPECT_EQ(mode(volume / "tool"), S_IFREG | 0750U);
    wait(sync_->vm_ended());
    EXPECT_EQ(mode(volume / "tool"), S_IFREG | 0550U);
}

TEST_F(ShareSync, TheVolumesAreTheirOwnersWhenTheVmHasEnded) {
    start();
    wait(sync_->process_starts());
    guest_makes(volume / "closed", S_IFDIR | 0700);
    guest_makes(volume / "closed/file", S_IFREG | 0444, "file");
    guest_changes(volume / "closed", S_IFDIR | 0555);
    wait(sync_->process_ended());
    EXPECT_EQ(mode(volume / "closed"), S_IFDIR | 0555U);
    wait(sync_->vm_ended());
    EXPECT_EQ(mode(volume / "closed"), S_IFDIR | 0755U);
    EXPECT_EQ(mode(volume / "closed/file"), S_IFREG | 0444U);
    EXPECT_NO_THROW(share_test::fs::remove_all(volume));
}

// An entrypoint, or a child that outlives its process, ends no process that the supervisor hears of.
TEST_F(ShareSync, TakesChangesOverBetweenProcesses) {
    start();
    wait(sync_->process_starts());
    wait(sync_->process_ended());
    guest_makes(volume / "log", S_IFREG | 0644, "line");
    until([&] { return mode(volume / "log") == (S_IFREG | 0644U); });
}

TEST_F(ShareSync, EndsWhileItHasMuchToDo) {
    for (int i = 0; i < 3000; i++)
        host_makes(volume / std::to_string(i), 0640);
    start();
    auto future = asio::co_spawn(io_, sync_->process_starts(), asio::use_future);
    io_.poll();
    sync_.reset();  // must not wait for ever, nor use what is gone
    until([&] { return future.wait_for(0s) == std::future_status::ready; });
}

}  // namespace
