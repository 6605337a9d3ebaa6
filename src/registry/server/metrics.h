#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "registry/server/metadata.h"
#include "registry/server/storage.h"

namespace registry::server {

// The numbers on /metrics that Metadata and Storage do not have, counted since the start.
class Metrics {
public:
    // `method` is what a client sent; all unsupported methods count as one.
    void answered(const std::string& method, unsigned status, uint64_t bytes_in);

    // A number of another part of the server, asked for each time; add it before the first `text`.
    struct Counted {
        const char* name;
        const char* type;  // "counter" or "gauge"
        const char* help;
        std::function<uint64_t()> value;
    };
    void add(Counted counted) { others_.push_back(std::move(counted)); }

    // In Prometheus's text format.
    std::string text(Metadata& metadata, const Storage& storage) const;

private:
    mutable std::mutex mutex_;
    std::map<std::pair<std::string, unsigned>, uint64_t> requests_;
    uint64_t bytes_in_ = 0;
    std::vector<Counted> others_;
};

}  // namespace registry::server
