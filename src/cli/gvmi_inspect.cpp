#include <sys/stat.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/size.h"
#include "cli/common.h"
#include "cli/gvmi_commands.h"
#include "gvmi/hash.h"
#include "gvmi/image.h"
#include "thin/opened.h"

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
              << " inodes\n";
    if (const auto thin = facts.find("thin"); thin != facts.end()) {
        std::cout << "thin image of: " << (*thin)["hash"].get<std::string>() << ", " << base::format_size((*thin)["size"].get<uint64_t>())
                  << ", " << (*thin)["recorded_blocks"] << " blocks recorded\n";
        for (const auto& url : (*thin)["urls"])
            std::cout << "  at " << url.get<std::string>() << "\n";
    }
    std::cout << "configuration:\n" << terminal_json(facts["config"], 2) << "\n";
}

int inspect(const Arguments& arguments) {
    const thin::Opened opened(arguments.file);
    const gvmi::Image& image = opened.image;
    struct stat status {};
    if (::fstat(opened.fd.get(), &status) < 0) base::throw_errno("cannot examine ", arguments.file);
    nlohmann::json facts = {
        {"file", arguments.file},
        {"size", static_cast<uint64_t>(status.st_size)},
        {"hash", gvmi::image_hash(opened.fd.get(), arguments.file)},
        {"squashfs",
         {{"size", image.squashfs_bytes}, {"compressor", image.compressor}, {"block_size", image.block_size}, {"inodes", image.inodes}}},
        {"config", image.config.json},
    };
    if (const auto& table = opened.table) {
        facts["thin"] = {
            {"size", table->size}, {"hash", table->sha3}, {"urls", table->urls}, {"recorded_blocks", table->first_reads.size()}};
    }
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
