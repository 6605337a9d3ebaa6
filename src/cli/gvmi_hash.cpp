#include <fcntl.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "cli/common.h"
#include "cli/gvmi_commands.h"
#include "gvmi/hash.h"
#include "gvmi/image.h"

namespace cli {
namespace {

struct Arguments {
    std::vector<std::string> files;
    bool json = false;
};

int print_hashes(const Arguments& arguments) {
    auto list = nlohmann::json::object();
    for (const std::string& path : arguments.files) {
        const base::UniqueFd fd = base::open_file(path, O_RDONLY | O_NONBLOCK);
        (void)gvmi::read_image(fd.get(), path);
        const std::string hash = gvmi::image_hash(fd.get(), path);
        if (arguments.json) {
            list[path] = hash;
        } else {
            std::cout << hash << "  " << path << "\n";
        }
    }
    if (arguments.json) std::cout << terminal_json(list) << "\n";
    return 0;
}

}  // namespace

void add_hash_command(CLI::App& app, Action& chosen) {
    CLI::App* command = app.add_subcommand("hash", "Prints the image hash, by which requestor code names an image");
    command->footer("Example: gvmi hash python.gvmi");
    const auto arguments = std::make_shared<Arguments>();
    command->add_option("FILE", arguments->files, "The .gvmi files")->required();
    command->add_flag("--json", arguments->json, "An object of file names and hashes");
    command->callback([&chosen, arguments] { chosen = [arguments] { return print_hashes(*arguments); }; });
}

}  // namespace cli
