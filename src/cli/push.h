// gvmkit-build's options for a registry (docs/spec/cli.md), and what they do.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "cli/login.h"
#include "registry/descriptor.h"
#include "registry/reference.h"
#include "registry/settings.h"

namespace cli {

struct PushArguments {
    bool push = false;
    std::string push_to;
    bool nologin = false;
    bool make_private = false;  // the repository
    std::string direct_file;    // push this file, convert nothing
    LoginArguments login;
    uint64_t chunk_size = 0;  // 0: by the image's size
    unsigned workers = 4;
    std::string info_path;
    std::string ttl;
};

void add_push_options(CLI::App& app, PushArguments& arguments);
// Throws CLI::Error for options that exclude each other, and where a command needs `image` (the IMAGE argument) or a file and has neither.
void check_push_usage(const PushArguments& arguments, const std::string& image);

// A push that passed every check possible before the image exists: its name is valid, and the login is known and accepted.
struct PushPlan {
    registry::Settings settings;
    std::optional<registry::Reference> name;
    std::optional<registry::Login> login;
};

// `image` is the IMAGE argument, which gives the name with --push alone. Throws base::Error.
PushPlan plan_push(const PushArguments& arguments, const std::string& image);

// Whether an image is to be pushed.
bool pushes(const PushArguments& arguments);

// Pushes the full image of a thin one, where the registry does not have it, as USER/REPOSITORY:TAG-full where the thin one gets
// USER/REPOSITORY:TAG. Returns the URL from which it can be downloaded. Throws base::Error.
std::string push_full_image(const PushArguments& arguments, PushPlan plan, const std::filesystem::path& image,
                            const std::optional<registry::Descriptor>& known, bool progress);

// Writes the descriptor (`known` if it has just been made) next to the image, and pushes the image if that was asked for. Throws
// base::Error.
void finish_push(const PushArguments& arguments, const PushPlan& plan, const std::filesystem::path& image,
                 const std::optional<registry::Descriptor>& known, bool progress);

}  // namespace cli
