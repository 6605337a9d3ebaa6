#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace vm {

// Turns QEMU's BLOCK_IO_ERROR events into log lines, one in ten seconds: a guest can cause any number of them.
class DiskErrors {
public:
    // `data` is the event's. Returns nothing within ten seconds of the last line.
    std::optional<std::string> line(const nlohmann::json& data, std::chrono::steady_clock::time_point now);

private:
    std::optional<std::chrono::steady_clock::time_point> last_;
    uint64_t unsaid_ = 0;
};

}  // namespace vm
