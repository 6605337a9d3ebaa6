#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "registry/server/api.h"

namespace registry::server {

// A file that `gvmi serve` offers. It stays open, so a later replacement on the disk is not served under its hash.
struct ServedFile {
    std::string name;  // for a URL: letters, digits, -_.
    std::string tag;   // local/NAME:latest
    std::string sha3;
    uint64_t size = 0;
    std::shared_ptr<const base::UniqueFd> fd;
};

// Opens and hashes a .gvmi. Throws base::Error.
ServedFile open_served_file(const std::string& path);

// The part of a registry's interface (docs/spec/registry.md) that resolving and downloading need: /v1/image/info and /v1/image/download by
// tag and hash, /image.<sha3>.link, and the files as /download/<sha3>/NAME. `files` must outlive the answers.
std::unique_ptr<Exchange> route_files(const Request& request, const std::vector<ServedFile>& files, const PublicUrls& urls);

}  // namespace registry::server
