#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace registry {

// The pusher: a user and a personal access token.
struct Login {
    std::string user;
    std::string token;
};

// The registry, and the user's login where it is known.
struct Settings {
    std::string url;             // REGISTRY_URL, without slashes at the end; the public registry by default
    std::optional<Login> login;  // REGISTRY_USER and REGISTRY_TOKEN, where both are set
};

inline constexpr const char* kPublicRegistry = "https://registry.golem.network";

// From the environment, else from the first `.env` in `folder` or above it (lines NAME=VALUE; `export ` in front, quotes and `#` comments
// allowed). Throws base::Error where the URL is invalid, or the file cannot be read or is longer than 64 KiB.
Settings read_settings(const std::filesystem::path& folder);

// The logins that `--login` stores, one per registry: $XDG_CONFIG_HOME (else ~/.config)/gvmkit/credentials.json, mode 0600. All throw
// base::Error where the file cannot be read or written, and where others may read it.
std::filesystem::path credentials_file();
std::optional<Login> saved_login(const std::string& url);
void save_login(const std::string& url, const Login& login);
bool forget_login(const std::string& url);  // whether there was one

}  // namespace registry
