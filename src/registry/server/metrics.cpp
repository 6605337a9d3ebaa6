#include "registry/server/metrics.h"

#include <spdlog/fmt/fmt.h>

#include <iterator>

namespace registry::server {
namespace {

void describe(std::string& out, const char* name, const char* type, const char* help) {
    fmt::format_to(std::back_inserter(out), "# HELP gvmkit_registry_{0} {2}\n# TYPE gvmkit_registry_{0} {1}\n", name, type, help);
}

void value(std::string& out, const char* name, uint64_t number) {
    fmt::format_to(std::back_inserter(out), "gvmkit_registry_{} {}\n", name, number);
}

}  // namespace

void Metrics::answered(const std::string& method, unsigned status, uint64_t bytes_in) {
    const bool known = method == "GET" || method == "HEAD" || method == "POST";
    const std::lock_guard lock(mutex_);
    requests_[{known ? method : "other", status}]++;
    bytes_in_ += bytes_in;
}

std::string Metrics::text(Metadata& metadata, const Storage& storage) const {
    const Totals totals = metadata.totals();
    std::string out;
    describe(out, "uploads", "gauge", "Uploads by state.");
    for (const auto& [state, count] : {std::pair("partial", totals.partial), std::pair("full", totals.full), std::pair("bad", totals.bad)})
        value(out, fmt::format("uploads{{state=\"{}\"}}", state).c_str(), count);
    describe(out, "image_bytes", "gauge", "Bytes of all full images, what they share counted for each.");
    value(out, "image_bytes", totals.full_bytes);
    describe(out, "tags", "gauge", "Tags.");
    value(out, "tags", totals.tags);
    describe(out, "users", "gauge", "Users.");
    value(out, "users", totals.users);
    describe(out, "free_bytes", "gauge", "Free bytes of the disk.");
    value(out, "free_bytes", storage.free_bytes());
    for (const Counted& other : others_) {
        describe(out, other.name, other.type, other.help);
        value(out, other.name, other.value());
    }

    const std::lock_guard lock(mutex_);
    describe(out, "requests_total", "counter", "Requests by method and status.");
    for (const auto& [key, count] : requests_)
        value(out, fmt::format("requests_total{{method=\"{}\",code=\"{}\"}}", key.first, key.second).c_str(), count);
    describe(out, "received_bytes_total", "counter", "Bytes of request bodies.");
    value(out, "received_bytes_total", bytes_in_);
    return out;
}

}  // namespace registry::server
