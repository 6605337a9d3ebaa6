#include "runtime/service.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <utility>

#include "base/json.h"
#include "base/log.h"
#include "base/untrusted_text.h"
#include "exeunit/request_error.h"
#include "release/release.h"
#include "runtime/accelerator.h"
#include "runtime/measure.h"
#include "vm/cgroup.h"

namespace runtime {
namespace asio = boost::asio;
namespace api = ya_runtime_api;
using asio::awaitable;
using namespace std::chrono_literals;
namespace {

// The supervisor waits 5 s for the answer to Shutdown; nobody waits for us after a plain end of the pipe.
constexpr auto kGrace = 1000ms;
constexpr auto kStopLimit = 2500ms;
constexpr auto kHastyGrace = 300ms;
constexpr auto kHastyStopLimit = 1200ms;
constexpr auto kDrainLimit = 500ms;

constexpr const char* kStartEntrypoint = "start-entrypoint";
constexpr size_t kMaxErrorText = 8 << 10;

exeunit::Stream pipe_stream(agent::Stream stream) {
    return stream == agent::STDOUT ? exeunit::Stream::out : exeunit::Stream::err;
}

agent::Stream agent_stream(exeunit::Stream stream) {
    return stream == exeunit::Stream::out ? agent::STDOUT : agent::STDERR;
}

ProcessSpec process_spec(const api::RunProcess& run) {
    ProcessSpec spec{.bin = run.bin(), .args = {run.args().begin(), run.args().end()}, .work_dir = run.work_dir()};
    if (run.stdout().has_at_end()) spec.keep_stdout = run.stdout().at_end();
    if (run.stderr().has_at_end()) spec.keep_stderr = run.stderr().at_end();
    return spec;
}

void set_error(api::Response& response, api::Error::Code code, const std::string& message) {
    response.mutable_error()->set_code(code);
    // The supervisor could not decode a frame with a text that is not UTF-8, such as a path.
    response.mutable_error()->set_message(base::printable(message, kMaxErrorText));
}

api::Error::Code code_of(agent::Error::Code code) {
    switch (code) {
        case agent::Error::NOT_FOUND:
            return api::Error::NOT_FOUND;
        case agent::Error::BAD_REQUEST:
            return api::Error::BAD_REQUEST;
        default:
            return api::Error::INTERNAL;
    }
}

}  // namespace

Service::Service(const asio::any_io_executor& executor, Options options, std::vector<std::string> arguments)
    : executor_(executor),
      plan_{.options = std::move(options), .deployment = {}},
      arguments_(std::move(arguments)),
      session_(executor, session_events()),
      console_log_(plan_.options.workdir / "logs/console.log"),
      entrypoint_log_(plan_.options.workdir / "logs/entrypoint.log"),
      changed_(executor) {}

SessionEvents Service::session_events() {
    SessionEvents events;
    events.output = [this](uint64_t pid, agent::Stream stream, std::string data) {
        if (entrypoint_ == pid) {
            entrypoint_log_.write(data);
            session_.taken(pid, stream, data.size());
        } else {
            server_->output(pid, pipe_stream(stream), std::move(data));
        }
    };
    events.ended = [this](ProcessEnd end) { process_ended(std::move(end)); };
    events.console = [this](std::string_view text) { console_log_.write(text); };
    events.died = [this](const std::string& reason) {
        failure_ = "the VM died: " + reason;
        if (booted_) tell_state("died", reason);
    };
    return events;
}

DebugHost Service::debug_host() {
    return {.session = session_,
            .up = [this] { return up(); },
            .measure = [this] { return measure(session_, plan_.options); },
            .stop = [this] { end("the debug channel requested it"); }};
}

void Service::process_ended(ProcessEnd end) {
    if (entrypoint_ == end.pid) {
        spdlog::info("the entrypoint has ended with code {}", end.code);
        return;
    }
    api::ProcessStatus status;
    status.set_pid(end.pid);
    status.set_return_code(end.code);
    status.set_stdout(std::move(end.stdout_end));
    status.set_stderr(std::move(end.stderr_end));
    server_->finish(std::move(status));
}

awaitable<void> Service::run(base::UniqueFd input, base::UniqueFd output) {
    asio::signal_set signals(executor_, SIGTERM, SIGINT, SIGHUP);
    signals.async_wait([this](const boost::system::error_code& error, int signal) {
        if (!error) end(std::string("signal ") + std::to_string(signal));
    });
    exeunit::ServerEvents events;
    events.request = [this](api::Request request) { asio::co_spawn(executor_, handle(std::move(request)), asio::detached); };
    events.ended = [this](const std::string& reason) {
        if (!reason.empty()) spdlog::error("the supervisor's pipe failed: {}", reason);
        end(reason.empty() ? "the supervisor has closed the pipe" : reason);
    };
    events.written = [this](uint64_t pid, exeunit::Stream stream, size_t bytes) { session_.taken(pid, agent_stream(stream), bytes); };
    server_ = std::make_unique<exeunit::Server>(executor_, std::move(input), std::move(output), std::move(events));
    if (!plan_.options.debug_socket.empty()) debug_ = std::make_unique<DebugServer>(executor_, plan_.options.debug_socket, debug_host());
    asio::co_spawn(executor_, boot(), asio::detached);

    while (!ending_)
        co_await changed_.wait();
    co_await stop();
}

// Ends the session; once.
void Service::end(const std::string& reason) {
    if (ending_) return;
    spdlog::info("the session ends: {}", reason);
    ending_ = true;
    changed_.notify();
}

awaitable<void> Service::stop() {
    const bool asked = !shutdowns_.empty();
    if (counters_ && failure_.empty()) {
        asio::co_spawn(executor_, counters_->last(session_.guest()), asio::detached);
        asio::steady_timer turn(executor_, 0s);
        co_await turn.async_wait(asio::use_awaitable);  // until it has asked
    }
    co_await session_.stop(asked ? kGrace : kHastyGrace, asked ? kStopLimit : kHastyStopLimit);
    log_dropped_frames(plan_.links);
    // The supervisor kills us once it has the answer, so the processes' output must be in the pipe before.
    if (asked) co_await server_->drained(kDrainLimit);
    for (const uint64_t id : shutdowns_) {
        api::Response response;
        response.set_id(id);
        response.mutable_shutdown();
        server_->send(response);
    }
    co_await server_->drained(kDrainLimit);
}

awaitable<void> Service::boot() {
    try {
        co_await start_vm();
        if (!arguments_.empty()) co_await start_entrypoint();
        spdlog::info("the VM is up");
        tell_state("up");
        if (plan_.options.counters_s > 0) start_counters();
    } catch (const std::exception& e) {  // also the standard library's: a hello without an answer would hang the supervisor
        spdlog::error("{}", e.what());
        failure_ = e.what();
    }
    if (!failure_.empty()) co_await session_.end();
    booted_ = true;
    changed_.notify();
    if (failure_.empty()) session_.make_template();
}

awaitable<void> Service::start_vm() {
    // Wrong arguments come from a requestor, who sees only the answer to hello.
    for (const std::string& argument : arguments_) {
        if (argument != kStartEntrypoint) throw base::Error("start: unknown argument '" + argument + "'");
    }
    plan_.deployment = load_deployment(plan_.options.workdir);
    plan_.links = open_links(executor_, plan_.options.vpn_endpoint, plan_.options.inet_endpoint);
    plan_.accelerator = co_await choose_accelerator(executor_, plan_.options, Purpose::vm);
    if (ending_) throw base::Error("the VM is being shut down");
    const std::string obstacle = vm::cgroup_obstacle();
    if (!obstacle.empty()) spdlog::info("QEMU has no cgroup of its own: {}", obstacle);
    co_await session_.start(plan_);
}

awaitable<void> Service::start_entrypoint() {
    ProcessSpec spec = entrypoint_spec(session_.sandbox().config);
    const std::vector<std::string> command = spec.args;
    entrypoint_ = co_await session_.start_process(std::move(spec));
    api::Response response;
    response.set_event(true);
    response.mutable_status()->set_running(true);
    response.mutable_status()->set_stdout(entrypoint_output(entrypoint_, command));
    server_->send(response);
}

// Where --states asks for it (docs/spec/exe-unit.md, Runtime status events).
void Service::tell_state(const char* name, const std::string& reason) {
    if (!plan_.options.states) return;
    nlohmann::json value{{"state", name}};
    if (!reason.empty()) value["reason"] = reason;
    api::Response response;
    response.set_event(true);
    api::RuntimeStatus::State& state = *response.mutable_rt_status()->mutable_state();
    state.set_name("vm");
    state.set_value(base::to_text(value));
    server_->send(response);
}

void Service::start_counters() {
    counters_ = std::make_unique<Counters>(
        executor_, [this] { return session_.storage_used(); }, [this](const api::Response& response) { server_->send(response); });
    asio::co_spawn(executor_, counters_->run(session_.guest(), std::chrono::seconds(plan_.options.counters_s)), asio::detached);
}

// Waits until the VM is up. Throws base::Error where it is not, or no longer is.
awaitable<void> Service::up() {
    while (!booted_ && !ending_)
        co_await changed_.wait();
    if (!failure_.empty()) throw base::Error(failure_);
    if (ending_) throw base::Error("the VM is being shut down");
}

awaitable<void> Service::handle(api::Request request) {
    spdlog::debug("request {} has command {}", request.id(), static_cast<int>(request.command_case()));
    if (request.has_shutdown()) {
        shutdowns_.push_back(request.id());
        end("the supervisor requested it");
        co_return;
    }
    api::Response response;
    response.set_id(request.id());
    try {
        co_await answer(request, response);
    } catch (const exeunit::RequestError& e) {
        set_error(response, e.code(), e.what());
    } catch (const agent::GuestError& e) {
        set_error(response, code_of(e.code()), e.what());
    } catch (const std::exception& e) {
        set_error(response, api::Error::INTERNAL, e.what());
    }
    server_->send(response);
}

awaitable<void> Service::answer(const api::Request& request, api::Response& response) {
    switch (request.command_case()) {
        case api::Request::kHello:
            co_await up();
            response.mutable_hello()->set_version(release::version());
            break;
        case api::Request::kRun: {
            co_await up();
            ProcessSpec spec = process_spec(request.run());
            const uint64_t pid = co_await session_.start_process(std::move(spec));
            response.mutable_run()->set_pid(pid);
            break;
        }
        case api::Request::kKill:
            co_await up();
            co_await session_.kill(request.kill().pid(), request.kill().signal());
            response.mutable_kill();
            break;
        case api::Request::kNetwork:
            co_await up();
            co_await configure(request.network(), response);
            break;
        default:
            throw exeunit::RequestError(api::Error::BAD_REQUEST, "unknown or empty command");
    }
}

awaitable<void> Service::configure(const api::CreateNetwork& request, api::Response& response) {
    const auto link = std::find_if(plan_.links.begin(), plan_.links.end(),
                                   [&request](const Link& candidate) { return candidate.interface == request.interface(); });
    if (link == plan_.links.end()) {
        const char* name = request.interface() == api::INET ? "INET" : "VPN";
        throw exeunit::RequestError(api::Error::BAD_REQUEST, std::string("the VM was started without a card for ") + name);
    }
    agent::Request message;
    *message.mutable_network() = network_request(request, *link);
    if (message.network().addresses_size() > 0) link->configured = true;
    (void)co_await session_.guest().request(std::move(message));
    *response.mutable_network() = link->endpoint;
}

}  // namespace runtime
