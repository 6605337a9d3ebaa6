#include "runtime/run_command.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/timings.h"
#include "runtime/entrypoint.h"
#include "runtime/templates.h"

namespace runtime {
namespace asio = boost::asio;
using asio::awaitable;
using namespace std::chrono_literals;

CommandRun::CommandRun(const asio::any_io_executor& executor, OutputSink sink)
    : executor_(executor),
      sink_(std::move(sink)),
      processes_({.output =
                      [this](uint64_t pid, agent::Stream stream, const std::string& data) {
                          sink_(stream, data);
                          processes_.taken(*sandbox_.guest, pid, stream, data.size());
                      },
                  .ended =
                      [this](const ProcessEnd& end) {
                          base::timings().mark("first command ended");
                          log_timings(sandbox_);
                          code_ = end.code;
                          ended_.notify();
                      }}),
      ended_(executor) {}

awaitable<int> CommandRun::run(SandboxPlan plan, std::vector<std::string> argv) {
    GuestEvents events;
    events.output = [this](const agent::Output& output) { processes_.on_output(*sandbox_.guest, output); };
    events.exited = [this](const agent::Exited& exited) { processes_.on_exited(exited); };
    events.died = [this](const std::string& reason) { processes_.on_death(reason); };
    co_await start_sandbox(executor_, plan, std::move(events), sandbox_);
    if (!sandbox_.restored) asio::co_spawn(executor_, try_make_template(executor_, plan.options, plan.accelerator), asio::detached);
    if (interrupted_) throw base::Error("interrupted");
    co_await run_process(std::move(argv));
    co_await stop_sandbox(sandbox_, 500ms, 3s);
    co_return *code_;
}

awaitable<void> CommandRun::run_process(std::vector<std::string> argv) {
    ProcessSpec spec;
    if (argv.empty()) {
        spec = entrypoint_spec(sandbox_.config);
    } else {
        spec.bin = argv[0];
        spec.args = std::move(argv);
    }
    pid_ = co_await processes_.start(*sandbox_.guest, std::move(spec));
    while (!code_)
        co_await ended_.wait();
}

void CommandRun::interrupt(int signal) {
    interrupted_ = true;
    if (sandbox_.guest) asio::co_spawn(executor_, pass(signal), asio::detached);
}

awaitable<void> CommandRun::pass(int signal) {
    try {
        if (pid_ == 0) {
            co_await sandbox_.guest->end();
        } else {
            co_await processes_.kill(*sandbox_.guest, pid_, signal);
        }
    } catch (const base::Error& e) {
        spdlog::warn("{}", e.what());
    }
}

}  // namespace runtime
