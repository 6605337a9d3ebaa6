#include "convert/config.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/untrusted_text.h"
#include "gvmi/image.h"

namespace convert {
namespace {

using nlohmann::json;

json container_part(const json& image_config) {
    const auto found = image_config.is_object() ? image_config.find("config") : image_config.end();
    if (!image_config.is_object()) throw base::Error("the image's configuration is not a JSON object");
    if (found == image_config.end() || found->is_null()) return json::object();
    if (!found->is_object()) throw base::Error("the image's \"config\" is not a JSON object");
    return *found;
}

// A path as Docker's clean one below "/": without empty and "." parts, and ".." takes back the part before it.
std::string clean_path(const std::string& path) {
    return std::filesystem::path("/" + path).lexically_normal().relative_path().string();
}

void normalize_volumes(json& config, std::vector<std::string>& notes) {
    const auto found = config.find("Volumes");
    if (found == config.end() || !found->is_object()) return;
    json cleaned = json::object();
    for (const auto& [path, value] : found->items()) {
        std::string clean = clean_path(path);
        while (clean.ends_with('/'))
            clean.pop_back();
        if (clean.empty()) {
            notes.push_back("the volume " + base::quote(path) + " is the root, which cannot be one, and was left out");
            continue;
        }
        clean.insert(0, 1, '/');
        if (clean != path && clean + "/" != path) notes.push_back("the volume " + base::quote(path) + " is " + base::quote(clean));
        cleaned[clean] = value;
    }
    *found = std::move(cleaned);
}

// Existing readers accept neither null nor a bare string where a list belongs.
void normalize(json& config, std::vector<std::string>& notes) {
    for (auto it = config.begin(); it != config.end();)
        it = it->is_null() ? config.erase(it) : std::next(it);
    for (const char* key : {"Entrypoint", "Cmd", "Shell"}) {
        const auto found = config.find(key);
        if (found != config.end() && found->is_string()) *found = json::array({*found});
    }
    const auto replace_nulls = [&config](const char* key, const json& replacement) {
        const auto found = config.find(key);
        if (found == config.end() || !found->is_structured()) return;
        for (json& value : *found) {
            if (value.is_null()) value = replacement;
        }
    };
    for (const char* key : {"Volumes", "ExposedPorts"})
        replace_nulls(key, json::object());
    for (const char* key : {"Labels", "Env", "Cmd", "Entrypoint", "OnBuild", "Shell"})
        replace_nulls(key, "");
    normalize_volumes(config, notes);
}

void set_env(json& config, const std::string& setting) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) throw base::Error("\"" + setting + "\" is not of the form NAME=VALUE");
    json& list = config["Env"];
    if (list.is_null()) list = json::array();
    const std::string start = setting.substr(0, equals + 1);
    const auto same =
        std::find_if(list.begin(), list.end(), [&start](const json& entry) { return entry.get<std::string>().starts_with(start); });
    if (same == list.end()) {
        list.push_back(setting);
    } else {
        *same = setting;
    }
}

}  // namespace

json container_config(const oci::Image& image, const Changes& changes, std::vector<std::string>& notes) {
    json config = container_part(image.config);
    normalize(config, notes);
    config = gvmi::parse_config(std::move(config)).json;  // the types are right from here
    config["Image"] = image.id;
    for (const std::string& setting : changes.env)
        set_env(config, setting);
    for (const std::string& volume : changes.volumes)
        config["Volumes"][gvmi::normal_volume_path(volume)] = json::object();
    if (changes.user) config["User"] = *changes.user;
    if (changes.entrypoint) {
        config["Entrypoint"] = *changes.entrypoint;
        config.erase("Cmd");
    }
    if (changes.cmd) config["Cmd"] = *changes.cmd;
    if (changes.working_dir) config["WorkingDir"] = *changes.working_dir;
    return gvmi::parse_config(std::move(config)).json;
}

}  // namespace convert
