#include "vm/disk_errors.h"

#include <fmt/format.h>

#include <cerrno>

#include "base/error.h"
#include "vm/console_tail.h"

namespace vm {
namespace {

// The text may come from a QEMU that a guest has taken over.
std::string text_of(const nlohmann::json& data, const char* key) {
    const auto value = data.find(key);
    ConsoleTail tail;
    if (value != data.end() && value->is_string()) tail.append(value->get<std::string>().substr(0, 200));
    return tail.text();
}

}  // namespace

std::optional<std::string> DiskErrors::line(const nlohmann::json& data, std::chrono::steady_clock::time_point now) {
    constexpr auto kInterval = std::chrono::seconds(10);
    if (!data.is_object()) return {};
    if (last_ && now - *last_ < kInterval) {
        unsaid_++;
        return {};
    }
    last_ = now;
    const std::string reason = text_of(data, "reason");
    std::string line = fmt::format("the VM's disk {}: {} failed: {}", text_of(data, "node-name"), text_of(data, "operation"), reason);
    if (reason == base::errno_text(ENOSPC)) line += "; the host's disk is full";
    if (const uint64_t unsaid = std::exchange(unsaid_, 0)) line += fmt::format(" ({} more since the last such line)", unsaid);
    return line;
}

}  // namespace vm
