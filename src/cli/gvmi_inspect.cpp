#include <fcntl.h>
#include <sys/stat.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/fd.h"
#include "base/size.h"
#include "cli/common.h"
#include "cli/gvmi_commands.h"
#include "gvmi/hash.h"
#include "gvmi/image.h"

namespace cli {
namespace {

struct Arguments {
    std::string file;
    bool json = false;
};

void print(const nlohmann::json& facts) {
    std::cout << "file:        " << facts["file"].get<std::string>() << "\n"
              << "size:        " << base::format_size(facts["size"].get<uint64_t>()) << " (" << facts["size"] << " bytes)\n"
              << "image hash:  " << facts["hash"].get<std::string>() << "\n"
              << "squashfs:    " << facts["squashfs"]["size"] << " bytes, " << facts["squashfs"]["compressor"].get<std::string>()
              << ", blocks of " << base::format_size(facts["squashfs"]["block_size"].get<uint64_t>()) << ", " << facts["squashfs"]["inodes"]
              << " inodes\n"
              << "configuration:\n"
              << terminal_json(facts["config"], 2) << "\n";
}

int inspect(const Arguments& arguments) {
    const base::UniqueFd fd = base::open_file(arguments.file, O_RDONLY | O_NONBLOCK);
    const gvmi::Image image = gvmi::read_image(fd.get(), arguments.file);
    struct stat status {};
    if (::fstat(fd.get(), &status) < 0) base::throw_errno("cannot examine ", arguments.file);
    const nlohmann::json facts = {
        {"file", arguments.file},
        {"size", static_cast<uint64_t>(status.st_size)},
        {"hash", gvmi::image_hash(fd.get(), arguments.file)},
        {"squashfs",
         {{"size", image.squashfs_bytes}, {"compressor", image.compressor}, {"block_size", image.block_size}, {"inodes", image.inodes}}},
        {"config", image.config.json},
    };
    if (arguments.json) {
        std::cout << terminal_json(facts) << "\n";
    } else {
        print(facts);
    }
    return 0;
}

}  // namespace

void add_inspect_command(CLI::App& app, Action& chosen) {
    CLI::App* command = app.add_subcommand("inspect", "Prints an image's sizes, compressor, hash and container configuration");
    command->footer("Example: gvmi inspect --json python.gvmi");
    const auto arguments = std::make_shared<Arguments>();
    command->add_option("FILE", arguments->file, "The .gvmi file")->required();
    command->add_flag("--json", arguments->json, "As one JSON object");
    command->callback([&chosen, arguments] { chosen = [arguments] { return inspect(*arguments); }; });
}

}  // namespace cli
