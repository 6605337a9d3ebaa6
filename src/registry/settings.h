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
    std::string source;          // where both come from, for a person: "the environment", a path; empty: the defaults
    std::string ignored;         // why a `.env` file was not read; empty where there is none, or it was
};

inline constexpr const char* kPublicRegistry = "https://registry.golem.network";

// From the environment where it has any of the three variables, else from `.env` in `folder` (lines NAME=VALUE; `export ` in front, quotes
// and
// `#` comments allowed). Address and login come from one source, so that nobody's file sends the environment's token elsewhere. The file
// counts only where it is our user's and nobody else may write to it. Throws base::Error where the URL is invalid, or the file cannot be
// read or is longer than 64 KiB.
Settings read_settings(const std::filesystem::path& folder);

// The logins that `--login` stores, one per registry: $XDG_CONFIG_HOME (else ~/.config)/gvmkit/credentials.json, mode 0600. All throw
// base::Error where the file cannot be read or written, and where others may read it.
std::filesystem::path credentials_file();
std::optional<Login> saved_login(const std::string& url);
void save_login(const std::string& url, const Login& login);
bool forget_login(const std::string& url);  // whether there was one

}  // namespace registry
