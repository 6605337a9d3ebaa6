#include "dbg/run_again.h"

#include <boost/asio/co_spawn.hpp>
#include <chrono>
#include <csignal>
#include <exception>
#include <memory>
#include <utility>

#include "base/event.h"

namespace dbg {
namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
namespace {

constexpr auto kGrace = std::chrono::seconds(2);

struct Round {
    explicit Round(const asio::any_io_executor& executor) : news(executor) {}

    base::Event news;
    bool changed = false;
    bool running = false;
    int code = 0;
    std::exception_ptr failure;
};

void begin_run(const asio::any_io_executor& executor, const std::shared_ptr<Round>& round, const RepeatedCommand& command) {
    round->running = true;
    round->changed = false;
    asio::co_spawn(executor, command.run(), [round](std::exception_ptr error, int code) {
        round->running = false;
        round->code = code;
        if (error) round->failure = std::move(error);
        round->news.notify();
    });
}

asio::awaitable<void> note_changes(std::shared_ptr<Round> round, SyncedFolders& folders) {
    for (;;) {
        co_await folders.changed();
        round->changed = true;
        round->news.notify();
    }
}

asio::awaitable<void> end_run(const std::shared_ptr<Round>& round, const RepeatedCommand& command) {
    command.signal(SIGTERM);
    const auto deadline = Clock::now() + kGrace;
    for (auto now = Clock::now(); round->running && now < deadline; now = Clock::now())
        co_await round->news.wait(deadline - now);
    if (round->running) command.signal(SIGKILL);
    while (round->running)
        co_await round->news.wait();
}

}  // namespace

asio::awaitable<int> run_again(asio::any_io_executor executor, SyncedFolders& folders, RepeatedCommand command) {
    const auto round = std::make_shared<Round>(executor);
    asio::co_spawn(executor, note_changes(round, folders), [round](std::exception_ptr error) {
        round->failure = std::move(error);
        round->news.notify();
    });
    while (!command.stopped()) {
        const auto begin = Clock::now();
        begin_run(executor, round, command);
        while (round->running && !round->changed && !round->failure)
            co_await round->news.wait();
        if (round->running) {
            co_await end_run(round, command);
        } else {
            command.ended(round->code, std::chrono::duration<double>(Clock::now() - begin).count());
        }
        if (round->failure) std::rethrow_exception(round->failure);
        while (!round->changed && !round->failure && !command.stopped())
            co_await round->news.wait();
        if (round->failure) std::rethrow_exception(round->failure);
    }
    co_return round->code;
}

}  // namespace dbg
