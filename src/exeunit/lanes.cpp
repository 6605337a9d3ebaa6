#include "exeunit/lanes.h"

#include <utility>

namespace exeunit {
namespace {

// Appends data in pieces of at most kMaxEvent bytes. Small pieces are merged: a guest that sends single bytes must not cost us a string for
// each.
void append(std::deque<std::string>& pieces, std::string data) {
    if (!pieces.empty() && pieces.back().size() + data.size() <= Lanes::kMaxEvent) {
        pieces.back() += data;
    } else if (data.size() <= Lanes::kMaxEvent) {
        pieces.push_back(std::move(data));
    } else {
        for (size_t offset = 0; offset < data.size(); offset += Lanes::kMaxEvent)
            pieces.push_back(data.substr(offset, Lanes::kMaxEvent));
    }
}

}  // namespace

void Lanes::enqueue(uint64_t pid, Lane& lane) {
    if (lane.waiting || (lane.out.empty() && lane.err.empty() && !lane.last)) return;
    lane.waiting = true;
    turns_.push_back(pid);
}

void Lanes::output(uint64_t pid, Stream stream, std::string data) {
    if (data.empty()) return;
    Lane& lane = lanes_[pid];
    append(stream == Stream::out ? lane.out : lane.err, std::move(data));
    enqueue(pid, lane);
}

void Lanes::finish(ya_runtime_api::ProcessStatus status) {
    const uint64_t pid = status.pid();
    Lane& lane = lanes_[pid];
    lane.last = std::move(status);
    enqueue(pid, lane);
}

std::optional<Lanes::Event> Lanes::next() {
    if (turns_.empty()) return std::nullopt;
    const uint64_t pid = turns_.front();
    turns_.pop_front();
    Lane& lane = lanes_.at(pid);
    lane.waiting = false;

    Event event;
    event.pid = pid;
    if (lane.out.empty() && lane.err.empty()) {
        event.status = std::move(*lane.last);
        lanes_.erase(pid);
        return event;
    }
    event.stream = lane.out.empty() || (lane.err_first && !lane.err.empty()) ? Stream::err : Stream::out;
    lane.err_first = event.stream == Stream::out;
    std::deque<std::string>& pieces = event.stream == Stream::out ? lane.out : lane.err;
    event.bytes = pieces.front().size();
    event.status.set_pid(pid);
    event.status.set_running(true);
    if (event.stream == Stream::out) {
        event.status.set_stdout(std::move(pieces.front()));
    } else {
        event.status.set_stderr(std::move(pieces.front()));
    }
    pieces.pop_front();
    enqueue(pid, lane);
    return event;
}

}  // namespace exeunit
