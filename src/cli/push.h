// The options of gvmkit-build that have to do with a registry (docs/spec/cli.md), and what they do.
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
    std::string direct_file;  // push this file, convert nothing
    LoginArguments login;
    uint64_t chunk_size = 0;  // 0: by the image's size
    unsigned workers = 4;
    std::string info_path;
};

void add_push_options(CLI::App& app, PushArguments& arguments);
// Throws CLI::Error for options that do not go together, and where neither `image`, the IMAGE argument, nor a file is given and one is
// needed.
void check_push_usage(const PushArguments& arguments, const std::string& image);

// A push that was found possible as far as that can be told before the image is there: its name is one, and a login is known and valid.
struct PushPlan {
    registry::Settings settings;
    std::optional<registry::Reference> name;
    std::optional<registry::Login> login;
};

// `image` is the IMAGE argument, which gives the name with --push alone. Throws base::Error.
PushPlan plan_push(const PushArguments& arguments, const std::string& image);

// Writes the descriptor (`known`, where it has just been made) beside the image, and pushes it where that was asked for. Throws
// base::Error.
void finish_push(const PushArguments& arguments, const PushPlan& plan, const std::filesystem::path& image,
                 const std::optional<registry::Descriptor>& known, bool progress);

}  // namespace cli
