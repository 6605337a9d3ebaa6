#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "exeunit/ya_runtime_api.pb.h"

namespace exeunit {

enum class Stream { out, err };

// The output of processes on its way to the pipe, one lane per process. Each stream and each process keeps its order (rules 2 and 3 of
// docs/spec/exe-unit.md); the processes take turns event by event, so that a flood of one does not delay another's line. The order between
// a process's two streams is not kept, as it is lost in their pipes anyway.
class Lanes {
public:
    // The most output that one event carries, in bytes: the supervisor copies its whole buffer at each read of 8 KiB.
    static constexpr size_t kMaxEvent = 32 << 10;

    struct Event {
        ya_runtime_api::ProcessStatus status;
        uint64_t pid = 0;
        Stream stream = Stream::out;
        size_t bytes = 0;  // of output in it
    };

    void output(uint64_t pid, Stream stream, std::string data);
    // `status` is the process's last event; it comes after all output. The lane ends with it, and the pid must not come again.
    void finish(ya_runtime_api::ProcessStatus status);

    // The next event in turn; nothing when no lane holds any.
    std::optional<Event> next();
    bool idle() const { return turns_.empty(); }

private:
    struct Lane {
        bool waiting = false;  // in turns_
        std::deque<std::string> out;
        std::deque<std::string> err;
        bool err_first = false;  // which stream has the next turn
        std::optional<ya_runtime_api::ProcessStatus> last;
    };

    void enqueue(uint64_t pid, Lane& lane);

    std::map<uint64_t, Lane> lanes_;
    std::deque<uint64_t> turns_;
};

}  // namespace exeunit
