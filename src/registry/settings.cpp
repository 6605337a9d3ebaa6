#include "registry/settings.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>
#include <string_view>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/trimmed.h"

namespace registry {
namespace {

constexpr size_t kMaxSettings = 64 << 10;

std::string value_of(std::string_view text) {
    if (!text.empty() && (text[0] == '"' || text[0] == '\'')) {
        const size_t end = text.find(text[0], 1);
        if (end != std::string_view::npos) return std::string(text.substr(1, end - 1));
    }
    return std::string(base::trimmed(text.substr(0, text.find(" #"))));
}

using Variables = std::map<std::string, std::string>;

constexpr const char* kVariables[] = {"REGISTRY_URL", "REGISTRY_USER", "REGISTRY_TOKEN"};

Variables parse_env_file(const std::string& content) {
    Variables values;
    std::stringstream lines(content);
    for (std::string line; std::getline(lines, line);) {
        std::string_view text = base::trimmed(line);
        if (text.starts_with("export ")) text = base::trimmed(text.substr(7));
        const size_t equals = text.find('=');
        if (text.starts_with('#') || equals == std::string_view::npos) continue;
        values.try_emplace(std::string(base::trimmed(text.substr(0, equals))), value_of(base::trimmed(text.substr(equals + 1))));
    }
    return values;
}

Variables read_env_file(const std::filesystem::path& path, Settings& settings) {
    const base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (!file && errno == ENOENT) return {};
    if (!file || ::fstat(file.get(), &status) < 0) base::throw_errno("cannot open ", path);
    if (!S_ISREG(status.st_mode)) return {};
    if (status.st_uid != ::geteuid()) {
        settings.ignored = path.string() + " is not used: it belongs to another user";
        return {};
    }
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        settings.ignored = path.string() + " is not used: others may write to it";
        return {};
    }
    std::string text(kMaxSettings + 1, '\0');
    text.resize(base::pread_full(file.get(), std::as_writable_bytes(std::span(text)), 0, path.string()));
    if (text.size() > kMaxSettings) throw base::Error(path.string() + ": longer than 64 KiB");
    return parse_env_file(text);
}

Variables environment() {
    Variables values;
    for (const char* name : kVariables) {
        if (const char* value = std::getenv(name)) values[name] = value;
    }
    return values;
}

// The stored logins by registry. A file that others may read is refused: its tokens are no longer secret.
nlohmann::json read_credentials(const std::filesystem::path& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) < 0) {
        if (errno == ENOENT) return nlohmann::json::object();
        base::throw_errno("cannot examine ", path);
    }
    if ((status.st_mode & 077) != 0) throw base::Error(path.string() + ": others may read it; chmod 600 it, or remove it and log in again");
    auto json = base::with_context(path.string(), [&path] { return base::parse_json(base::read_file(path, kMaxSettings)); });
    if (!json.is_object()) throw base::Error(path.string() + ": not an object of registries");
    return json;
}

void write_credentials(const std::filesystem::path& path, const nlohmann::json& json) {
    std::error_code error;
    if (std::filesystem::create_directories(path.parent_path(), error)) {
        std::filesystem::permissions(path.parent_path(), std::filesystem::perms::owner_all, error);
    }
    base::replace_file(path, base::to_text(json) + "\n", 0600);
}

}  // namespace

Settings read_settings(const std::filesystem::path& folder) {
    Settings settings;
    Variables values = environment();
    if (!values.empty()) {
        settings.source = "the environment";
    } else {
        const std::filesystem::path path = std::filesystem::absolute(folder).lexically_normal() / ".env";
        values = read_env_file(path, settings);
        const auto is_given = [&values](const char* name) { return values.contains(name); };
        if (std::any_of(std::begin(kVariables), std::end(kVariables), is_given)) settings.source = path.string();
    }
    const auto setting = [&values](const char* name) -> std::string { return values.contains(name) ? values.at(name) : ""; };
    settings.url = setting("REGISTRY_URL");
    if (settings.url.empty()) settings.url = kPublicRegistry;
    while (settings.url.ends_with('/'))
        settings.url.pop_back();
    if (!settings.url.starts_with("http://") && !settings.url.starts_with("https://")) {
        throw base::Error("REGISTRY_URL: '" + settings.url + "' is not an http or https URL");
    }
    Login login{setting("REGISTRY_USER"), setting("REGISTRY_TOKEN")};
    if (!login.user.empty() && !login.token.empty()) settings.login = login;
    return settings;
}

std::filesystem::path credentials_file() {
    const char* config = std::getenv("XDG_CONFIG_HOME");
    if (config && *config == '/') return std::filesystem::path(config) / "gvmkit/credentials.json";
    const char* home = std::getenv("HOME");
    if (!home || *home != '/') throw base::Error("no place for credentials: neither XDG_CONFIG_HOME nor HOME is set");
    return std::filesystem::path(home) / ".config/gvmkit/credentials.json";
}

std::optional<Login> saved_login(const std::string& url) {
    const auto path = credentials_file();
    const auto json = read_credentials(path);
    const auto entry = json.find(url);
    if (entry == json.end()) return {};
    const auto text = [&entry](const char* key) {
        return entry->is_object() && entry->contains(key) && entry->at(key).is_string() ? entry->at(key).get<std::string>() : "";
    };
    Login login{text("user"), text("token")};
    if (login.user.empty() || login.token.empty()) throw base::Error(path.string() + ": no user and token for " + url);
    return login;
}

void save_login(const std::string& url, const Login& login) {
    const auto path = credentials_file();
    auto json = read_credentials(path);
    json[url] = {{"user", login.user}, {"token", login.token}};
    write_credentials(path, json);
}

bool forget_login(const std::string& url) {
    const auto path = credentials_file();
    auto json = read_credentials(path);
    if (json.erase(url) == 0) return false;
    write_credentials(path, json);
    return true;
}

}  // namespace registry
