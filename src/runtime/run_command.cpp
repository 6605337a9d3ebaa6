#include "runtime/run_command.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "runtime/entrypoint.h"

namespace runtime {
namespace asio = boost::asio;
using asio::awaitable;
using namespace std::chrono_literals;

CommandRun::CommandRun(const asio::any_io_executor& executor, OutputSink sink)
    : executor_(executor), sink_(std::move(sink)), session_(executor, session_events()), ended_(executor) {}

SessionEvents CommandRun::session_events() {
    SessionEvents events;
    events.output = [this](uint64_t pid, agent::Stream stream, const std::string& data) {
        sink_(stream, data);
        session_.taken(pid, stream, data.size());
    };
    events.ended = [this](const ProcessEnd& end) {
        code_ = end.code;
        ended_.notify();
    };
    return events;
}

awaitable<int> CommandRun::run(SandboxPlan plan, std::vector<std::string> argv) {
    co_await session_.start(plan);
    session_.make_template();
    if (interrupted_) throw base::Error("interrupted");
    co_await run_process(std::move(argv));
    co_await session_.stop(500ms, 3s);
    session_.sandbox().thin->write_record();
    co_return *code_;
}

awaitable<void> CommandRun::run_process(std::vector<std::string> argv) {
    ProcessSpec spec;
    if (argv.empty()) {
        spec = entrypoint_spec(session_.sandbox().config);
    } else {
        spec.bin = argv[0];
        spec.args = std::move(argv);
    }
    pid_ = co_await session_.start_process(std::move(spec));
    while (!code_)
        co_await ended_.wait();
}

void CommandRun::interrupt(int signal) {
    interrupted_ = true;
    asio::co_spawn(executor_, pass(signal), asio::detached);
}

awaitable<void> CommandRun::pass(int signal) {
    try {
        if (pid_ == 0) {
            co_await session_.end();
        } else {
            co_await session_.kill(pid_, signal);
        }
    } catch (const base::Error& e) {
        spdlog::warn("{}", e.what());
    }
}

}  // namespace runtime
