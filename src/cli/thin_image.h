// Making thin images, for gvmkit-build and gvmi (docs/spec/thin.md).
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

namespace cli {

struct ThinArguments {
    std::vector<std::string> urls;  // where the full image is served
    std::string record;             // a shell command; what a VM reads for it is fetched first. Empty: nothing is recorded
    std::string output;             // empty: NAME.thin.gvmi beside NAME.gvmi
};

// --record, and `url_option` for the URLs.
void add_thin_options(CLI::App& app, ThinArguments& arguments, const std::string& url_option);

// Makes the thin image of a full one, says so on stdout, and returns its path. Throws base::Error, also where the recorded command fails.
std::string make_thin_image(const std::filesystem::path& full, const ThinArguments& arguments, bool progress);

}  // namespace cli
