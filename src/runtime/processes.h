#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/client.h"
#include "runtime/guest.h"
#include "runtime/output_window.h"

namespace runtime {

// The end of a process: comes once, after all its output.
struct ProcessEnd {
    uint64_t pid = 0;
    int code = 0;            // exit code, or 128 + signal
    std::string stdout_end;  // what was kept
    std::string stderr_end;
};

// Called from the io_context's thread; must not throw.
struct ProcessEvents {
    // `taken` must follow once the bytes have been delivered; until then they count against the stream's window.
    std::function<void(uint64_t pid, agent::Stream stream, std::string data)> output;
    std::function<void(ProcessEnd end)> ended;
    std::function<void(uint64_t pid, uint32_t bytes)> input_taken = {};
};

// A process to start. `keep_*` is the request's at_end: that stream is not sent as it comes. Instead its last bytes, `keep_*` or kMaxKept
// at most, are sent when the process has ended, with the final status as far as an event holds them.
struct ProcessSpec {
    std::string bin;
    std::vector<std::string> args = {};  // from argv[0] on
    std::string work_dir = {};           // empty: the image's
    std::optional<uint32_t> keep_stdout = {};
    std::optional<uint32_t> keep_stderr = {};
    // What only the debug channel asks for; see agent::Exec.
    bool input = false;
    std::optional<agent::Terminal> terminal = {};
    std::vector<std::string> env = {};
    std::string user = {};
    agent::Builtin builtin = agent::NO_BUILTIN;
    std::optional<ProcessEvents> events = {};  // in place of those of all processes
};

// The processes started in a VM. Pids are ours, from 1 on, and never reused.
class Processes {
public:
    static constexpr uint32_t kMaxKept = 256 << 10;  // bytes per stream

    // `guest` must outlive it.
    Processes(GuestChannel& guest, ProcessEvents events) : guest_(guest), events_(std::move(events)) {}

    // Starts a process and returns its pid. Its events come only after the awaiting coroutine has run up to its next suspension. Throws
    // agent::GuestError (no such file…), base::Error where the VM died.
    boost::asio::awaitable<uint64_t> start(ProcessSpec spec);

    // Signals the process's whole group; 0 is SIGKILL. Throws exeunit::RequestError (NOT_FOUND for a pid that does not run), base::Error.
    boost::asio::awaitable<void> kill(uint64_t pid, int signal);

    // Bytes for its stdin, or their end; the caller keeps to the window (agent.proto). Nothing happens where it has ended.
    void input(uint64_t pid, std::string_view data, bool end);
    void resize(uint64_t pid, const agent::Terminal& terminal);

    void on_output(const agent::Output& output);
    void on_exited(const agent::Exited& exited);
    void on_input_taken(uint64_t pid, uint32_t bytes);
    void taken(uint64_t pid, agent::Stream stream, size_t bytes);

    size_t running() const;

    // Each running process gets a line on its stderr: why nothing happens.
    void note_all(const std::string& text);

    // The VM is gone: each running process ends with code 137 and, unless `reason` is empty, a line on its stderr with the reason.
    void on_death(const std::string& reason);

private:
    struct Stream {
        explicit Stream(uint32_t granted) : credit(granted) {}
        StreamCredit credit;
        std::optional<uint32_t> keep;
        std::string kept;
    };
    struct Process {
        Process(uint32_t granted, ProcessEvents told) : out(granted), err(granted), events(std::move(told)) {}
        bool running = false;
        bool mid_line = false;  // its stderr does not end with a newline
        size_t waiting = 0;     // bytes of output that were sent and not yet taken
        Stream out;
        Stream err;
        ProcessEvents events;
        Stream& of(agent::Stream stream) { return stream == agent::STDOUT ? out : err; }
    };

    uint32_t window(size_t more = 0) const { return output_window(2 * (processes_.size() + ended_.size() + more)); }
    void send(uint64_t pid, Process& process, agent::Stream stream, std::string data);
    void give_back(uint64_t pid, Stream& stream, agent::Stream name, size_t bytes);
    void note(uint64_t pid, Process& process, const std::string& text);
    void finish(uint64_t pid, int code);

    GuestChannel& guest_;
    ProcessEvents events_;
    uint64_t last_pid_ = 0;
    std::map<uint64_t, Process> processes_;
    std::map<uint64_t, size_t> ended_;  // ended processes whose output is still queued, and how much of it: it takes memory too
};

}  // namespace runtime
