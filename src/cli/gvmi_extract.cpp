#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/untrusted_text.h"
#include "cli/common.h"
#include "cli/gvmi_commands.h"
#include "gvmi/extract.h"
#include "thin/opened.h"

namespace cli {
namespace {

struct Arguments {
    std::string file;
    std::string path = "/";
    std::string output;
    uint64_t limit_gib = gvmi::Limits().bytes >> 30;
    bool special = false;
    bool json = false;
};

int extract_image(const Arguments& arguments) {
    thin::Opened opened(arguments.file);
    gvmi::Limits limits;
    limits.bytes = arguments.limit_gib << 30;
    const gvmi::Extracted result = base::with_context("cannot extract " + arguments.file, [&] {
        const std::optional<gvmi::File> start = gvmi::find(opened.reader, arguments.path, false);
        if (!start) throw base::Error("there is no " + base::quote(arguments.path) + " in it");
        return gvmi::extract(opened.reader, gvmi::absolute_path(arguments.path), *start, arguments.output, limits, arguments.special);
    });
    if (arguments.json) {
        std::cout << terminal_json({{"entries", result.entries},
                                    {"devices_left_out", result.devices_left_out},
                                    {"set_ids_left_out", result.set_ids_left_out},
                                    {"attributes_left_out", result.attributes_left_out}})
                  << "\n";
        return 0;
    }
    std::cout << arguments.output << ": " << result.entries << " entries";
    if (result.devices_left_out > 0) std::cout << ", " << result.devices_left_out << " devices left out (root makes them with --special)";
    if (result.set_ids_left_out > 0) std::cout << ", setuid and setgid of " << result.set_ids_left_out << " left out (--special)";
    if (result.attributes_left_out > 0) std::cout << ", " << result.attributes_left_out << " extended attributes left out";
    std::cout << "\n";
    return 0;
}

}  // namespace

void add_extract_command(CLI::App& app, Action& chosen) {
    CLI::App* command = app.add_subcommand("extract", "Unpacks an image or a part of it into a folder");
    command->footer("Example: gvmi extract python.gvmi /usr/lib -o lib");
    const auto arguments = std::make_shared<Arguments>();
    command->add_option("FILE", arguments->file, "The .gvmi file")->required();
    command->add_option("PATH", arguments->path, "A folder or file in it")->capture_default_str();
    command->add_option("-o,--output", arguments->output, "The folder to unpack into: a new or an empty one")->required()->type_name("DIR");
    command->add_option("--limit-gib", arguments->limit_gib, "Stop at more data than this")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    command->add_flag("--special", arguments->special, "Make setuid and setgid files too and, as root, device files");
    command->add_flag("--json", arguments->json, "The summary as one JSON object");
    command->callback([&chosen, arguments] { chosen = [arguments] { return extract_image(*arguments); }; });
}

}  // namespace cli
