#include "runtime/processes.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "agent/frame.h"
#include "base/error.h"
#include "exeunit/lanes.h"
#include "exeunit/request_error.h"

namespace runtime {
using boost::asio::awaitable;
namespace {

constexpr int kKilled = 128 + SIGKILL;
// The channel's limit, less room for the rest of the request; a guest's kernel takes half of it.
constexpr size_t kMaxExec = agent::kMaxRequestBytes - 64;

// Appends to a kept stream and cuts it to its last `limit` bytes. It cuts only at twice the limit, so each byte is moved once.
void keep(std::string& kept, const std::string& data, size_t limit) {
    kept += data;
    if (kept.size() > 2 * limit) kept.erase(0, kept.size() - limit);
}

}  // namespace

awaitable<uint64_t> Processes::start(ProcessSpec spec) {
    const uint64_t pid = ++last_pid_;
    const uint32_t granted = window(1);
    Process& process = processes_.try_emplace(pid, granted, spec.events.value_or(events_)).first->second;
    if (spec.keep_stdout) process.out.keep = std::min(*spec.keep_stdout, kMaxKept);
    if (spec.keep_stderr) process.err.keep = std::min(*spec.keep_stderr, kMaxKept);

    const std::string program = spec.bin;
    agent::Request request;
    agent::Exec& exec = *request.mutable_exec();
    exec.set_process(pid);
    exec.set_bin(std::move(spec.bin));
    for (std::string& argument : spec.args)
        exec.add_args(std::move(argument));
    exec.set_work_dir(std::move(spec.work_dir));
    exec.set_credit(granted);
    exec.set_input(spec.input);
    if (spec.terminal) *exec.mutable_terminal() = *spec.terminal;
    for (std::string& variable : spec.env)
        exec.add_env(std::move(variable));
    exec.set_user(std::move(spec.user));
    exec.set_builtin(spec.builtin);
    try {
        if (exec.ByteSizeLong() > kMaxExec)
            throw exeunit::RequestError(ya_runtime_api::Error::BAD_REQUEST, "cannot run " + program + ": " + base::errno_text(E2BIG));
        (void)co_await guest_.request(std::move(request));
    } catch (...) {
        processes_.erase(pid);
        throw;
    }
    processes_.at(pid).running = true;
    co_return pid;
}

awaitable<void> Processes::kill(uint64_t pid, int signal) {
    if (signal < 0 || signal > SIGRTMAX)
        throw exeunit::RequestError(ya_runtime_api::Error::BAD_REQUEST, std::to_string(signal) + " is not a signal");
    const auto process = processes_.find(pid);
    if (process == processes_.end() || !process->second.running)
        throw exeunit::RequestError(ya_runtime_api::Error::NOT_FOUND, "no process with the pid " + std::to_string(pid) + " is running");
    agent::Request request;
    request.mutable_kill()->set_process(pid);
    request.mutable_kill()->set_signal(signal == 0 ? SIGKILL : signal);
    (void)co_await guest_.request(std::move(request));
}

void Processes::input(uint64_t pid, std::string_view data, bool end) {
    if (processes_.contains(pid)) guest_.input(pid, data, end);
}

void Processes::resize(uint64_t pid, const agent::Terminal& terminal) {
    if (processes_.contains(pid)) guest_.resize(pid, terminal);
}

void Processes::on_input_taken(uint64_t pid, uint32_t bytes) {
    const auto process = processes_.find(pid);
    if (process != processes_.end() && process->second.events.input_taken) process->second.events.input_taken(pid, bytes);
}

void Processes::on_output(const agent::Output& output) {
    const auto found = processes_.find(output.process());
    if (found == processes_.end() || output.data().empty()) return;
    Process& process = found->second;
    Stream& stream = process.of(output.stream());
    if (output.stream() == agent::STDERR) process.mid_line = output.data().back() != '\n';
    if (stream.keep) {
        keep(stream.kept, output.data(), *stream.keep);
        give_back(output.process(), stream, output.stream(), output.data().size());
    } else {
        send(output.process(), process, output.stream(), output.data());
    }
}

void Processes::on_exited(const agent::Exited& exited) {
    const auto found = processes_.find(exited.process());
    if (found == processes_.end()) return;
    if (exited.out_of_memory()) note(found->first, found->second, "the process was killed because the VM has run out of memory");
    finish(found->first, exited.code());
}

void Processes::taken(uint64_t pid, agent::Stream stream, size_t bytes) {
    if (const auto found = ended_.find(pid); found != ended_.end()) {
        found->second -= std::min(bytes, found->second);
        if (found->second == 0) ended_.erase(found);
    }
    const auto found = processes_.find(pid);
    if (found == processes_.end()) return;
    found->second.waiting -= std::min(bytes, found->second.waiting);
    give_back(pid, found->second.of(stream), stream, bytes);
}

void Processes::give_back(uint64_t pid, Stream& stream, agent::Stream name, size_t bytes) {
    const uint32_t granted = stream.credit.returned(bytes, window());
    if (granted > 0) guest_.grant(pid, name, granted);
}

size_t Processes::running() const {
    return static_cast<size_t>(std::ranges::count_if(processes_, [](const auto& entry) { return entry.second.running; }));
}

void Processes::note_all(const std::string& text) {
    for (auto& [pid, process] : processes_) {
        if (process.running) note(pid, process, text);
    }
}

void Processes::on_death(const std::string& reason) {
    // Those whose start has not been answered get an error from `start`.
    std::vector<uint64_t> running;
    for (const auto& [pid, process] : processes_) {
        if (process.running) running.push_back(pid);
    }
    for (const uint64_t pid : running) {
        if (!reason.empty()) note(pid, processes_.at(pid), "the VM died: " + reason);
        finish(pid, kKilled);
    }
}

void Processes::send(uint64_t pid, Process& process, agent::Stream stream, std::string data) {
    process.waiting += data.size();
    process.events.output(pid, stream, std::move(data));
}

// The exception in rule 3 of docs/spec/exe-unit.md: a requestor sees nothing else.
void Processes::note(uint64_t pid, Process& process, const std::string& text) {
    std::string line;
    if (process.mid_line) line += '\n';
    line.append("ya-runtime-vm: ").append(text).append("\n");
    if (process.err.keep) {
        keep(process.err.kept, line, *process.err.keep);
    } else {
        send(pid, process, agent::STDERR, std::move(line));
    }
}

void Processes::finish(uint64_t pid, int code) {
    Process& process = processes_.at(pid);
    ProcessEnd end{.pid = pid, .code = code, .stdout_end = {}, .stderr_end = {}};
    size_t room = exeunit::Lanes::kMaxEvent;
    for (const agent::Stream stream : {agent::STDOUT, agent::STDERR}) {
        Stream& kept = process.of(stream);
        if (!kept.keep) continue;
        if (kept.kept.size() > *kept.keep) kept.kept.erase(0, kept.kept.size() - *kept.keep);
        std::string& last = stream == agent::STDOUT ? end.stdout_end : end.stderr_end;
        const size_t ahead = kept.kept.size() - std::min(kept.kept.size(), room);
        if (ahead > 0) send(pid, process, stream, kept.kept.substr(0, ahead));
        last = kept.kept.substr(ahead);
        room -= last.size();
    }
    if (process.waiting > 0) ended_[pid] = process.waiting;
    const ProcessEvents events = std::move(process.events);
    processes_.erase(pid);
    events.ended(std::move(end));
}

}  // namespace runtime
