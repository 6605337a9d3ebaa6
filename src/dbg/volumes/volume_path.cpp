#include "dbg/volumes/volume_path.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/path_names.h"
#include "base/untrusted_text.h"

namespace dbg {
namespace fs = std::filesystem;
namespace {

std::string text_at(const nlohmann::json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool leads_out(const std::deque<std::string>& names) {
    return std::find(names.begin(), names.end(), "..") != names.end();
}

std::string listed(const std::vector<VolumeFolder>& volumes) {
    if (volumes.empty()) return "the deployment has none";
    std::string text = volumes.size() == 1 ? "the only one is " : "there are ";
    for (const VolumeFolder& volume : volumes)
        text += (&volume == &volumes.front() ? "" : ", ") + base::quote(volume.guest);
    return text;
}

}  // namespace

std::vector<VolumeFolder> volume_folders(std::string_view deployed, const fs::path& workdir) {
    std::vector<VolumeFolder> volumes;
    try {
        const nlohmann::json json = base::parse_json(deployed);
        if (!json.is_object() || !json.contains("vols") || !json["vols"].is_array()) return {};
        for (const auto& volume : json["vols"]) {
            if (!volume.is_object()) continue;
            const auto names = base::path_names(text_at(volume, "name"));
            const std::string guest = text_at(volume, "path");
            if (names.empty() || leads_out(names) || !guest.starts_with('/')) continue;
            fs::path host = workdir;
            for (const std::string& name : names)
                host /= name;
            volumes.push_back({.guest = guest, .host = host});
        }
    } catch (const base::Error&) {
        return {};
    }
    return volumes;
}

VolumePlace find_volume(const std::vector<VolumeFolder>& volumes, const std::string& guest_path) {
    const auto names = base::path_names(guest_path);
    if (!guest_path.starts_with('/') || leads_out(names))
        throw base::Error(base::quote(guest_path) + " is not an absolute path without \"..\"");
    const VolumeFolder* best = nullptr;
    size_t best_depth = 0;
    for (const VolumeFolder& volume : volumes) {
        const auto ours = base::path_names(volume.guest);
        const bool holds = ours.size() <= names.size() && std::equal(ours.begin(), ours.end(), names.begin());
        if (holds && (!best || ours.size() > best_depth)) {
            best = &volume;
            best_depth = ours.size();
        }
    }
    if (!best) throw base::Error(base::quote(guest_path) + " is in no volume: " + listed(volumes));
    return {.volume = *best, .names = {names.begin() + static_cast<std::ptrdiff_t>(best_depth), names.end()}};
}

}  // namespace dbg
