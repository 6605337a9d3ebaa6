#include <filesystem>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "cli/gvmi_commands.h"
#include "cli/lint_text.h"
#include "thin/opened.h"

namespace cli {
namespace {

struct Arguments {
    std::string file;
    std::set<std::string> off;
    bool json = false;
};

int lint_image(const Arguments& arguments) {
    thin::Opened opened(arguments.file);
    const auto findings =
        base::with_context(arguments.file, [&] { return lint::lint(opened.reader, opened.image.config, opened.size, {}, arguments.off); });
    if (arguments.json) {
        std::cout << findings_json(findings) << "\n";
    } else {
        print_findings(std::cout, findings);
    }
    return 0;
}

}  // namespace

void add_lint_command(CLI::App& app, Action& chosen) {
    CLI::App* command = app.add_subcommand("lint", "Reports what will surprise in a VM, why, and what to do about it");
    command->footer("Example: gvmi lint python.gvmi");
    const auto arguments = std::make_shared<Arguments>();
    command->add_option("FILE", arguments->file, "The .gvmi file")->required();
    add_lint_off_option(*command, "--off", arguments->off);
    command->add_flag("--json", arguments->json, "A JSON array of objects");
    command->callback([&chosen, arguments] { chosen = [arguments] { return lint_image(*arguments); }; });
}

}  // namespace cli
