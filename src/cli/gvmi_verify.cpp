#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/size.h"
#include "cli/common.h"
#include "cli/gvmi_commands.h"
#include "gvmi/hash.h"
#include "gvmi/verify.h"
#include "thin/opened.h"

namespace cli {
namespace {

struct Arguments {
    std::string file;
    uint64_t limit_gib = gvmi::Limits().bytes >> 30;
    bool json = false;
};

int verify_image(const Arguments& arguments) {
    thin::Opened opened(arguments.file);
    gvmi::Limits limits;
    limits.bytes = arguments.limit_gib << 30;
    const gvmi::Verified result = base::with_context(arguments.file, [&] { return gvmi::verify(opened.reader, limits); });
    if (opened.table && gvmi::image_hash(opened.read) != opened.table->sha3)
        throw base::Error(arguments.file + ": the hash of the full image is not the one in the thin image");
    const std::string hash = gvmi::image_hash(opened.fd.get(), arguments.file);
    if (arguments.json) {
        std::cout << terminal_json({{"file", arguments.file}, {"entries", result.entries}, {"bytes", result.bytes}, {"hash", hash}})
                  << "\n";
    } else {
        std::cout << arguments.file << ": whole; " << result.entries << " entries, " << base::format_size(result.bytes) << " of data\n"
                  << "image hash: " << hash << "\n";
    }
    return 0;
}

}  // namespace

void add_verify_command(CLI::App& app, Action& chosen) {
    CLI::App* command =
        app.add_subcommand("verify", "Reads a complete image: its trailer, every inode, attribute and block; of a thin image the full one");
    command->footer("Example: gvmi verify python.gvmi");
    const auto arguments = std::make_shared<Arguments>();
    command->add_option("FILE", arguments->file, "The .gvmi file")->required();
    command->add_option("--limit-gib", arguments->limit_gib, "Refuse an image with more data than this, unpacked")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    command->add_flag("--json", arguments->json, "As one JSON object");
    command->callback([&chosen, arguments] { chosen = [arguments] { return verify_image(*arguments); }; });
}

}  // namespace cli
