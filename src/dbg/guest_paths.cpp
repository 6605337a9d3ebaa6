#include "dbg/guest_paths.h"

#include <chrono>
#include <csignal>
#include <memory>

#include "base/error.h"
#include "base/event.h"

namespace dbg {
namespace asio = boost::asio;
namespace api = exeunit::api;
namespace {

constexpr auto kPatience = std::chrono::seconds(3);

struct Answer {
    explicit Answer(const asio::any_io_executor& executor) : changed(executor) {}

    std::string text;
    bool ended = false;
    base::Event changed;
};

}  // namespace

asio::awaitable<std::vector<Candidate>> guest_paths(exeunit::Client& client, asio::any_io_executor executor, std::string prefix) {
    // Statuses may come after this has given up.
    const auto answer = std::make_shared<Answer>(executor);
    api::RunProcess process;
    for (const std::string& argument : completion_command(prefix))
        process.add_args(argument);
    process.set_bin(process.args(0));
    process.set_args(0, "sh");
    const exeunit::StatusHandler status = [answer](const api::ProcessStatus& s) {
        if (answer->text.size() < kMaxAnswer) answer->text += s.stdout();
        answer->ended = answer->ended || !s.running();
        answer->changed.notify();
    };
    try {
        const uint64_t pid = co_await client.run(std::move(process), status);
        const auto deadline = std::chrono::steady_clock::now() + kPatience;
        for (auto now = deadline - kPatience; !answer->ended && answer->text.size() < kMaxAnswer && now < deadline;
             now = std::chrono::steady_clock::now())
            co_await answer->changed.wait(deadline - now);
        if (!answer->ended) co_await client.kill(pid, SIGKILL);
    } catch (const base::Error&) {  // there is no shell, or the process has just ended
    }
    co_return parse_candidates(answer->text, prefix);
}

}  // namespace dbg
