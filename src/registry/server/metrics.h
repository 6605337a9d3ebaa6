#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "registry/server/metadata.h"
#include "registry/server/storage.h"

namespace registry::server {

// The numbers on /metrics that Metadata and Storage do not have, counted since the start.
class Metrics {
public:
    // `method` is what a client sent; all unsupported methods count as one.
    void answered(const std::string& method, unsigned status, uint64_t bytes_in);

    // In Prometheus's text format.
    std::string text(Metadata& metadata, const Storage& storage) const;

private:
    mutable std::mutex mutex_;
    std::map<std::pair<std::string, unsigned>, uint64_t> requests_;
    uint64_t bytes_in_ = 0;
};

}  // namespace registry::server
