#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "init/memory.h"
#include "init/port.h"
#include "init/spawn.h"

namespace init {

// The processes that the host started, and their output on its way to the host.
class Processes {
public:
    // `epoll` gets their descriptors, edge-triggered, with numbers from kFirstToken on.
    static constexpr uint64_t kFirstToken = 16;
    Processes(int epoll, Port& port, Memory& memory) : epoll_(epoll), port_(port), memory_(memory) {}

    // Starts a program; the request with this id is answered when it runs, or cannot.
    void start(uint64_t request, const agent::Exec& exec, Program program);
    void grant(const agent::Credit& credit);
    void take(const agent::Input& input);
    void resize(const agent::Resize& resize);
    Status kill(uint64_t process, int signal);

    // One of their descriptors has become readable.
    void ready(uint64_t token);
    // Reaps every child that has exited, orphans too, and tells the host whether others live. Returns false when no children are left.
    bool reap();
    // Moves output: at most one piece of each stream, so that requests are read in between. Returns whether more can be moved at once.
    bool pump();

private:
    // One output of a process. `process` is 0 once its exit has been reported; later output is read and dropped.
    struct Stream {
        uint64_t process = 0;
        agent::Stream number = agent::STDOUT;
        base::UniqueFd pipe;
        uint64_t credit = 0;
        std::optional<uint64_t> last;  // after the exit: bytes that were in the pipe then and are still to be sent
        bool readable = false;
        bool queued = false;
    };
    // What the host has sent for a process's stdin. The pipe's or terminal's reader may be slow, but never holds us up.
    struct Input {
        uint64_t process = 0;
        base::UniqueFd fd;
        std::string pending;
        size_t fed = 0;       // bytes of `pending` that the program has; removed seldom, since that moves the others
        uint64_t untold = 0;  // bytes of Input that InputTaken has not told of; the end's Ctrl-D does not count
        bool terminal = false;
        bool end = false;
    };
    struct Process {
        pid_t pid = -1;
        uint64_t input = 0;  // its token; 0: none, or it is closed
        bool terminal = false;
        uint64_t request = 0;
        std::unique_ptr<Launch> launch;  // until it is known whether the program runs
        std::array<uint64_t, 2> streams{};
        std::optional<agent::Exited> exited;
    };

    void watch(int fd, uint64_t token, uint32_t events);
    void report_living(bool any);
    void launched(uint64_t id);
    void ended(uint64_t id, int wait_status);
    void finish(uint64_t id);
    void queue(uint64_t token);
    void move(uint64_t token, Stream& stream);
    void feed(uint64_t token);
    void close_input(uint64_t process);
    void close(uint64_t token);
    bool may_move(const Stream& stream) const;

    int epoll_;
    Port& port_;
    Memory& memory_;
    uint64_t last_token_ = kFirstToken;
    bool living_ = false;  // as the host was told
    std::map<uint64_t, Process> processes_;
    std::unordered_map<pid_t, uint64_t> by_pid_;        // those not yet reaped
    std::unordered_map<uint64_t, Stream> streams_;      // by token
    std::unordered_map<uint64_t, Input> inputs_;        // by token
    std::unordered_map<uint64_t, uint64_t> launching_;  // token of the report to the process
    std::vector<uint64_t> queue_;                       // tokens of streams with data to move, in the order of their turns
};

}  // namespace init
