#include <fcntl.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "base/fd.h"
#include "base/size.h"
#include "cli/common.h"
#include "cli/gvmi_commands.h"
#include "cli/registry_http.h"
#include "cli/transfer_progress.h"
#include "gvmi/hash.h"
#include "gvmi/image.h"
#include "registry/pull.h"
#include "registry/settings.h"

namespace cli {
namespace {

struct Arguments {
    std::string what;
    std::string output;
    bool hide_progress = false;
};

bool is_there(const std::string& output, const std::string& sha3) {
    std::error_code error;
    if (sha3.empty() || !std::filesystem::is_regular_file(output, error)) return false;
    const base::UniqueFd fd = base::open_file(output, O_RDONLY);
    return gvmi::image_hash(fd.get(), output) == sha3;
}

int pull(const Arguments& arguments) {
    const http::Options options = registry_http();
    const registry::Settings settings = registry_settings();
    const registry::ImageSource source = registry::resolve_image(arguments.what, settings.url, options, registry_reader(settings));
    const std::string output = arguments.output.empty() ? source.file_name : arguments.output;
    std::string hash = source.sha3;
    if (is_there(output, source.sha3)) {
        std::cout << output << ": up to date\n";
    } else {
        TransferProgress line("downloading", !arguments.hide_progress);
        hash = base::with_context("cannot pull " + arguments.what, [&] {
            return registry::pull_image(
                source, output, [&line](uint64_t done, uint64_t total) { line.show(done, total); }, options);
        });
    }
    std::cout << output << ": " << base::format_size(std::filesystem::file_size(output)) << "\nimage hash: " << hash << "\n";
    if (source.sha3.empty()) std::cout << "No hash was given to check the image against; it is only as trustworthy as the URL.\n";
    try {
        (void)gvmi::read_image(output);
    } catch (const base::Error& e) {
        print_message("warning", std::string(e.what()) + "; no provider will start it");
    }
    return 0;
}

}  // namespace

void add_pull_command(CLI::App& app, Action& chosen) {
    CLI::App* command = app.add_subcommand("pull", "Downloads an image and checks its hash; resumes an interrupted pull");
    command->footer("Example: gvmi pull golem/alpine:latest\nThe registry is REGISTRY_URL's, else the public one.");
    const auto arguments = std::make_shared<Arguments>();
    command->add_option("IMAGE", arguments->what, "USER/REPOSITORY:TAG, a hash, a URL, or hash:sha3:HEX:URL, as in SDKs")
        ->required()
        ->type_name("NAME");
    command->add_option("-o,--output", arguments->output, "The file to write; by default named after IMAGE, in the current folder")
        ->type_name("FILE");
    command->add_flag("--hide-progress", arguments->hide_progress, "No progress on the terminal");
    command->callback([&chosen, arguments] { chosen = [arguments] { return pull(*arguments); }; });
}

}  // namespace cli
