#include "init/processes.h"

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>
#include <vector>

#include "init/output.h"

namespace init {
namespace {

// A terminal holds at most 64 KiB of output and a line discipline's 4 KiB. What background processes write on must not delay the end.
constexpr int kTerminalRest = 128 << 10;

constexpr uint64_t kToldAtOnce = 64 << 10;  // bytes of input

}  // namespace

void Processes::watch(int fd, uint64_t token, uint32_t events) {
    epoll_event event{};
    event.events = events | EPOLLET;
    event.data.u64 = token;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) < 0) fatal(cat({"epoll: ", ::strerrordesc_np(errno)}));
}

void Processes::start(uint64_t request, const agent::Exec& exec, Program program) {
    const auto reply = [&](const Status& status) { answer(port_, request, status); };
    if (exec.process() == 0 || processes_.contains(exec.process())) return reply(bad_request({"a process needs a number of its own"}));
    Result<std::unique_ptr<Launch>> started = Launch::start(std::move(program));
    if (!started.ok()) return reply(started.status);
    Process& process = processes_[exec.process()];
    process.launch = std::move(started.value);
    process.pid = process.launch->pid();
    process.request = request;
    by_pid_[process.pid] = exec.process();
    process.terminal = exec.has_terminal();
    base::UniqueFd* const pipes[] = {&process.launch->out, &process.launch->err};
    for (size_t i = 0; i < 2; i++) {
        if (!*pipes[i]) continue;  // a terminal has one stream
        const uint64_t token = process.streams.at(i) = ++last_token_;
        Stream& stream = streams_[token];
        stream.process = exec.process();
        stream.number = static_cast<agent::Stream>(i);
        stream.pipe = std::move(*pipes[i]);
        stream.credit = exec.credit();
        watch(stream.pipe.get(), token, EPOLLIN);
    }
    if (process.launch->in) {
        process.input = ++last_token_;
        inputs_[process.input] = {
            .process = exec.process(), .fd = std::move(process.launch->in), .pending = {}, .terminal = process.terminal};
        watch(inputs_[process.input].fd.get(), process.input, EPOLLOUT);
    }
    launching_[++last_token_] = exec.process();
    watch(process.launch->report_fd(), last_token_, EPOLLIN);
}

// Here it is known whether the program runs.
void Processes::launched(uint64_t id) {
    Process& process = processes_.at(id);
    const Status status = process.launch->outcome();
    process.launch.reset();
    answer(port_, process.request, status);
    if (status.ok()) {
        for (const uint64_t token : process.streams)
            queue(token);
        if (process.input != 0) feed(process.input);
        return;
    }
    for (const uint64_t token : process.streams)
        close(token);
    close_input(id);
    by_pid_.erase(process.pid);  // it ends by itself and is reaped like an orphan
    processes_.erase(id);
}

void Processes::grant(const agent::Credit& credit) {
    const auto process = processes_.find(credit.process());
    if (process == processes_.end()) return;
    const uint64_t token = process->second.streams.at(credit.stream() == agent::STDERR ? 1 : 0);
    const auto stream = streams_.find(token);
    if (stream == streams_.end()) return;
    stream->second.credit += credit.bytes();
    queue(token);
}

// Bytes for a process that reads no more are dropped, and so are those that the host may not have sent.
void Processes::take(const agent::Input& input) {
    const auto process = processes_.find(input.process());
    if (process == processes_.end() || process->second.input == 0) return;
    const uint64_t token = process->second.input;
    Input& to = inputs_.at(token);
    if (to.end || input.data().size() > agent::kMaxInputBytes || to.untold + input.data().size() > agent::kInputWindow) return;
    to.pending += input.data();
    to.untold += input.data().size();
    to.end = input.end();
    if (to.end && to.terminal) to.pending += '\x04';
    feed(token);
}

void Processes::feed(uint64_t token) {
    Input& input = inputs_.at(token);
    if (processes_.at(input.process).launch) return;  // the host may not hear of a process before its Exec's reply
    bool open = true;
    while (input.fed < input.pending.size()) {
        const ssize_t n = ::write(input.fd.get(), input.pending.data() + input.fed, input.pending.size() - input.fed);
        if (n > 0) {
            input.fed += static_cast<size_t>(n);
        } else if (n == 0 || errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            open = false;
            break;
        }
    }
    if (2 * input.fed >= input.pending.size()) {
        input.pending.erase(0, input.fed);
        input.fed = 0;
    }
    // A program that reads little at a time makes no message for each read.
    const uint64_t left = input.pending.size() - input.fed;
    const uint64_t told = input.untold - std::min(input.untold, left);
    if (told >= kToldAtOnce || (told > 0 && left == 0)) {
        input.untold -= told;
        agent::Message message;
        message.mutable_input_taken()->set_process(input.process);
        message.mutable_input_taken()->set_bytes(static_cast<uint32_t>(told));
        port_.send(message);
    }
    // A terminal stays open: its program may read again.
    if (!open || (input.end && input.pending.empty() && !input.terminal)) close_input(input.process);
}

void Processes::close_input(uint64_t process) {
    const auto found = processes_.find(process);
    if (found != processes_.end()) inputs_.erase(std::exchange(found->second.input, 0));
}

void Processes::resize(const agent::Resize& resize) {
    const auto process = processes_.find(resize.process());
    if (process == processes_.end() || !process->second.terminal) return;
    const auto stream = streams_.find(process->second.streams[0]);
    if (stream != streams_.end()) (void)set_terminal_size(stream->second.pipe.get(), resize.terminal());
}

Status Processes::kill(uint64_t process, int signal) {
    const auto found = processes_.find(process);
    if (found == processes_.end()) return {"there is no such process", agent::Error::NOT_FOUND};
    if (signal <= 0 || signal > SIGRTMAX) return bad_request({"there is no signal ", std::to_string(signal)});
    // Before its program runs it may not be its group's leader yet.
    const pid_t target = found->second.launch ? found->second.pid : -found->second.pid;
    // ESRCH: it has ended, and its last output is on the way. That it could not be signalled is no error.
    if (::kill(target, signal) < 0 && errno != ESRCH) return failure(errno, {"cannot signal the process"});
    return {};
}

void Processes::ready(uint64_t token) {
    if (const auto launching = launching_.find(token); launching != launching_.end()) {
        const uint64_t id = launching->second;
        launching_.erase(launching);
        if (const auto process = processes_.find(id); process != processes_.end() && process->second.launch) launched(id);
        return;
    }
    if (inputs_.contains(token)) return feed(token);
    const auto stream = streams_.find(token);
    if (stream == streams_.end()) return;  // closed earlier in the same round of events
    stream->second.readable = true;
    queue(token);
}

bool Processes::reap() {
    std::vector<std::pair<uint64_t, int>> exits;
    bool children_left = true;
    for (;;) {
        int status = 0;
        const pid_t pid = ::waitpid(-1, &status, WNOHANG | __WALL);
        if (pid < 0 && errno == EINTR) continue;
        if (pid < 0) children_left = false;
        if (pid <= 0) break;
        const auto found = by_pid_.find(pid);
        if (found == by_pid_.end()) continue;
        exits.emplace_back(found->second, status);
        by_pid_.erase(found);
    }
    // Every process is a child of init, or has an ancestor that is one. The host wants to know before it learns of an exit.
    report_living(children_left);
    for (const auto& [id, status] : exits) {
        if (processes_.at(id).launch) launched(id);
        if (processes_.contains(id)) ended(id, status);
    }
    return children_left;
}

void Processes::report_living(bool any) {
    if (any == living_) return;
    living_ = any;
    agent::Message message;
    message.mutable_living()->set_any(any);
    port_.send(message);
}

void Processes::ended(uint64_t id, int wait_status) {
    Process& process = processes_.at(id);
    agent::Exited exited;
    exited.set_process(id);
    exited.set_code(WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status));
    if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL) exited.set_out_of_memory(memory_.killed(process.pid));
    process.exited = exited;
    for (const uint64_t token : process.streams) {
        const auto stream = streams_.find(token);
        if (stream == streams_.end()) continue;
        int held = kTerminalRest;  // a terminal does not tell what it holds
        if (!process.terminal) (void)::ioctl(stream->second.pipe.get(), FIONREAD, &held);
        stream->second.last = static_cast<uint64_t>(held);
        stream->second.readable = true;
        queue(token);
    }
    finish(id);
}

// Reports the exit when all output from before it has been sent.
void Processes::finish(uint64_t id) {
    Process& process = processes_.at(id);
    if (!process.exited) return;
    for (const uint64_t token : process.streams) {
        const auto stream = streams_.find(token);
        if (stream != streams_.end() && stream->second.last.value_or(0) > 0) return;
    }
    agent::Message message;
    *message.mutable_exited() = *process.exited;
    port_.send(message);
    for (const uint64_t token : process.streams) {
        const auto stream = streams_.find(token);
        if (stream == streams_.end()) continue;
        if (process.terminal) {
            close(token);  // with the input below it was our last: what still holds the terminal is hung up
            continue;
        }
        stream->second.process = 0;
        stream->second.readable = true;
        queue(token);
    }
    close_input(id);
    processes_.erase(id);
}

void Processes::close(uint64_t token) {
    streams_.erase(token);
}

bool Processes::may_move(const Stream& stream) const {
    if (!stream.readable) return false;
    if (stream.process == 0) return true;
    return stream.credit > 0 && stream.last.value_or(1) > 0 && !processes_.at(stream.process).launch;
}

void Processes::queue(uint64_t token) {
    const auto stream = streams_.find(token);
    if (stream == streams_.end() || stream->second.queued || !may_move(stream->second)) return;
    stream->second.queued = true;
    queue_.push_back(token);
}

void Processes::move(uint64_t token, Stream& stream) {
    const uint64_t process = stream.process;
    const bool drop = process == 0;
    const uint64_t allowed = drop ? kMaxPiece : std::min(stream.credit, stream.last.value_or(kMaxPiece));
    ssize_t n = read_piece(stream.pipe.get(), allowed);
    // A terminal's read waits for what was written, and only then looks whether anybody still has the terminal open. What was written and
    // closed between the two is there for a second read.
    if (n < 0 && errno == EIO) n = read_piece(stream.pipe.get(), allowed);
    if (n > 0) {
        if (drop) return;
        send_piece(port_, process, stream.number, static_cast<size_t>(n));
        stream.credit -= static_cast<uint64_t>(n);
        if (stream.last) *stream.last -= static_cast<uint64_t>(n);
    } else if (n == 0 || errno == EIO) {  // EIO: a terminal that nobody has open any more
        close(token);
    } else {
        // Empty. After the exit this means that another process has read the rest: whoever holds the pipe can.
        stream.readable = false;
        if (stream.last) stream.last = 0;
    }
    if (!drop && processes_.contains(process)) finish(process);
}

bool Processes::pump() {
    std::vector<uint64_t> turns;
    turns.swap(queue_);
    bool more = false;
    for (const uint64_t token : turns) {
        const auto found = streams_.find(token);
        if (found == streams_.end()) continue;
        if (found->second.process != 0 && !port_.writable()) {
            queue_.push_back(token);
            continue;
        }
        found->second.queued = false;
        move(token, found->second);
        queue(token);
        more = true;
    }
    return more && !queue_.empty();
}

}  // namespace init
