#include <iostream>
#include <memory>

#include "base/size.h"
#include "cli/common.h"
#include "cli/gvmi_commands.h"
#include "cli/transfer_progress.h"
#include "thin/make_thin.h"

namespace cli {
namespace {

struct ThinArguments {
    std::string file;
    std::vector<std::string> urls;
    std::string output;
};

// "NAME.gvmi" becomes "NAME.thin.gvmi".
std::string thin_name(std::string name) {
    constexpr std::string_view kSuffix = ".gvmi";
    if (name.ends_with(kSuffix)) name.resize(name.size() - kSuffix.size());
    return name + ".thin.gvmi";
}

int make_thin_image(const ThinArguments& arguments) {
    const std::string output = arguments.output.empty() ? thin_name(arguments.file) : arguments.output;
    TransferProgress progress("hashing", true);
    thin::MakeOptions options;
    options.urls = arguments.urls;
    options.progress = [&progress](uint64_t done, uint64_t total) { progress.show(done, total); };
    const std::string sha3 = thin::make_thin(arguments.file, output, options);
    std::cout << output << ": " << base::format_size(std::filesystem::file_size(output)) << ", stands for the image " << sha3 << "\n";
    return 0;
}

}  // namespace

void add_thin_command(CLI::App& app, Action& chosen) {
    CLI::App* command = app.add_subcommand("thin", "Makes the thin image of an image, which a VM runs before all of it has been fetched");
    command->footer("Example: gvmi thin python.gvmi --url https://example.org/python.gvmi");
    const auto arguments = std::make_shared<ThinArguments>();
    command->add_option("FILE", arguments->file, "The .gvmi file")->required();
    command
        ->add_option("--url", arguments->urls, "Where the full image is served by HTTP, with ranges; repeatable, in the order to try them")
        ->required()
        ->take_all()
        ->allow_extra_args(false);
    command->add_option("-o,--output", arguments->output, "The file to write; by default NAME.thin.gvmi beside FILE");
    command->callback([&chosen, arguments] { chosen = [arguments] { return make_thin_image(*arguments); }; });
}

}  // namespace cli
