#include "registry/server/event.h"

#include <fmt/chrono.h>

#include <chrono>
#include <ctime>

namespace registry::server {

nlohmann::ordered_json image_details(const std::string& id, const Descriptor& descriptor) {
    return {{"descriptor", id}, {"sha3", descriptor.sha3}, {"size", descriptor.size}};
}

std::string time_text(Time time) {
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(time)));
}

std::string event_time() {
    const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now);
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)), (now - seconds).count());
}

std::string event_line(const nlohmann::ordered_json& details) {
    constexpr size_t kLongest = 400;
    nlohmann::ordered_json cut = details;
    for (auto& value : cut) {
        if (value.is_string() && value.get_ref<const std::string&>().size() > kLongest)
            value = value.get_ref<const std::string&>().substr(0, kLongest);
    }
    return cut.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace registry::server
