#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "gvmi/image.h"

namespace gvmi {
namespace {

using nlohmann::json;

enum class Type { text, flag, integer, list, text_or_list, names, labels, object };

struct Key {
    const char* name;
    Type type;
};

constexpr Key kKeys[] = {
    {"Hostname", Type::text},        {"Domainname", Type::text},   {"User", Type::text},
    {"AttachStdin", Type::flag},     {"AttachStdout", Type::flag}, {"AttachStderr", Type::flag},
    {"ExposedPorts", Type::names},   {"Tty", Type::flag},          {"OpenStdin", Type::flag},
    {"StdinOnce", Type::flag},       {"Env", Type::list},          {"Cmd", Type::text_or_list},
    {"Healthcheck", Type::object},   {"ArgsEscaped", Type::flag},  {"Image", Type::text},
    {"Volumes", Type::names},        {"WorkingDir", Type::text},   {"Entrypoint", Type::text_or_list},
    {"NetworkDisabled", Type::flag}, {"MacAddress", Type::text},   {"OnBuild", Type::list},
    {"Labels", Type::labels},        {"StopSignal", Type::text},   {"StopTimeout", Type::integer},
    {"Shell", Type::text_or_list},
};

// A text that can be handed to a program: execve and paths end at a zero byte.
bool is_text(const json& value) {
    return value.is_string() && value.get_ref<const std::string&>().find('\0') == std::string::npos;
}

bool is_list(const json& value) {
    return value.is_array() && std::all_of(value.begin(), value.end(), is_text);
}

bool has_type(const json& value, Type type) {
    switch (type) {
        case Type::text:
            return is_text(value);
        case Type::flag:
            return value.is_boolean();
        case Type::integer:
            return value.is_number_integer();
        case Type::list:
            return is_list(value);
        case Type::text_or_list:
            return is_text(value) || is_list(value);
        case Type::names:
            return value.is_object() && std::all_of(value.begin(), value.end(), [](const json& v) { return v.is_object() || v.is_null(); });
        case Type::labels:
            return value.is_object() && std::all_of(value.begin(), value.end(), is_text);
        case Type::object:
            return value.is_object();
    }
    return false;
}

const char* describe(Type type) {
    switch (type) {
        case Type::text:
            return "a text";
        case Type::flag:
            return "true or false";
        case Type::integer:
            return "an integer";
        case Type::list:
            return "a list of texts";
        case Type::text_or_list:
            return "a text or a list of texts";
        case Type::names:
            return "an object of empty objects";
        case Type::labels:
            return "an object of texts";
        case Type::object:
            return "an object";
    }
    return "";
}

std::string text(const json& config, const char* key) {
    const auto found = config.find(key);
    return found == config.end() || found->is_null() ? std::string() : found->get<std::string>();
}

std::vector<std::string> list(const json& config, const char* key) {
    const auto found = config.find(key);
    if (found == config.end() || found->is_null()) return {};
    if (found->is_string()) return {found->get<std::string>()};
    return found->get<std::vector<std::string>>();
}

std::vector<std::string> volumes(const json& config) {
    std::vector<std::string> paths;
    const auto found = config.find("Volumes");
    if (found == config.end() || found->is_null()) return paths;
    for (const auto& [path, _] : found->items())
        paths.push_back(normal_volume_path(path));
    std::sort(paths.begin(), paths.end());
    paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
    return paths;
}

}  // namespace

std::string normal_volume_path(const std::string& path) {
    const auto refuse = [&path](const char* reason) { throw base::Error("Volumes: the path \"" + path + "\" " + reason); };
    if (path.find('\0') != std::string::npos) throw base::Error("Volumes: a path has a zero byte in it");
    if (path.empty() || path[0] != '/') refuse("is not absolute");
    std::string normal;
    for (size_t start = 1; start <= path.size();) {
        const size_t end = std::min(path.find('/', start), path.size());
        const std::string_view part = std::string_view(path).substr(start, end - start);
        if (part == "..") refuse("has \"..\" in it");
        if (!part.empty() && part != ".") normal.append("/").append(part);
        start = end + 1;
    }
    if (normal.empty()) refuse("is the root");
    return normal;
}

Config parse_config(json config) {
    if (!config.is_object()) throw base::Error("the container configuration is not a JSON object");
    for (const Key& key : kKeys) {
        const auto found = config.find(key.name);
        if (found == config.end() || found->is_null() || has_type(*found, key.type)) continue;
        throw base::Error(std::string("the container configuration's ") + key.name + " is not " + describe(key.type));
    }
    Config result;
    result.user = text(config, "User");
    result.env = list(config, "Env");
    result.working_dir = text(config, "WorkingDir");
    result.entrypoint = list(config, "Entrypoint");
    result.cmd = list(config, "Cmd");
    result.volumes = volumes(config);
    result.json = std::move(config);
    return result;
}

}  // namespace gvmi
