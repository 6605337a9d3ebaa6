#include <memory>

#include "cli/common.h"
#include "cli/gvmi_commands.h"
#include "cli/thin_image.h"

namespace cli {

void add_thin_command(CLI::App& app, Action& chosen) {
    CLI::App* command = app.add_subcommand("thin", "Makes the thin image of an image, which a VM runs before all of it has been fetched");
    command->footer("Example: gvmi thin python.gvmi --url https://example.org/python.gvmi --record 'python3 -c \"import numpy\"'");
    const auto file = std::make_shared<std::string>();
    const auto arguments = std::make_shared<ThinArguments>();
    command->add_option("FILE", *file, "The .gvmi file")->required();
    add_thin_options(*command, *arguments, "--url");
    command->get_option("--url")->required();
    command->add_option("-o,--output", arguments->output, "The file to write; by default NAME.thin.gvmi beside FILE")->type_name("FILE");
    command->callback([&chosen, file, arguments] {
        chosen = [file, arguments] {
            (void)make_thin_image(*file, *arguments, true);
            return 0;
        };
    });
}

}  // namespace cli
