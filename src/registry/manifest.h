#pragma once

#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace registry {

// The "metadata" of a payload manifest (docs/spec/registry.md; docs/manifest.schema.json).
struct ManifestMetadata {
    std::string name = {};
    std::string description = {};
    std::string version = "0.1.0";
    std::vector<std::string> authors = {};
    std::string homepage = {};
};

// A manifest for one image for linux on x86_64. Times are seconds since 1970. Throws base::Error where it would not pass check_manifest.
nlohmann::ordered_json make_manifest(const std::string& url, const std::string& sha3, const ManifestMetadata& metadata, std::time_t created,
                                     std::time_t expires);

// Allows commands to reach more URLs, and adds the protocols that these need. Throws base::Error for a URL whose protocol is not one of
// http, https, tcp and udp, and where the manifest allows everything already.
void add_outbound(nlohmann::ordered_json& manifest, const std::vector<std::string>& urls);

// Throws base::Error that names the field ("payload[0].hash: …") of the first defect: a wrong type, a missing or unknown key (a provider
// would ignore a misspelt one), versions, times, URLs, hashes.
void check_manifest(const nlohmann::ordered_json& manifest);

// Throws base::Error where `now` is not between createdAt and expiresAt. For a manifest that passed check_manifest.
void check_manifest_time(const nlohmann::ordered_json& manifest, std::time_t now);

}  // namespace registry
