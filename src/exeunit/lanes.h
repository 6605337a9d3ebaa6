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

// Process output on its way to the pipe, one lane per process. Each stream and each process keeps its order (rules 2 and 3 of
// docs/spec/exe-unit.md). The processes take turns event by event, so one that floods does not delay another's line. The order between a
// process's two streams is already lost in their pipes and not kept here.
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
    // `status` is the process's last event and comes after all its output. It ends the lane, and the pid must not be used again.
    void finish(ya_runtime_api::ProcessStatus status);

    // The next event in turn; nothing when all lanes are empty.
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
