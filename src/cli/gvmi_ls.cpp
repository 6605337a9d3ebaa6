#include <sys/stat.h>

#include <array>
#include <ctime>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/untrusted_text.h"
#include "cli/common.h"
#include "cli/file_listing.h"
#include "cli/gvmi_commands.h"
#include "gvmi/mode_text.h"
#include "gvmi/squashfs_tree.h"
#include "thin/opened.h"

namespace cli {
namespace {

struct Arguments {
    std::string file;
    std::string path = "/";
    bool recursive = false;
    bool details = false;
    bool json = false;
};

std::string size_or_device(const gvmi::File& file) {
    const bool device = S_ISBLK(file.mode) || S_ISCHR(file.mode);
    return device ? std::to_string(file.major) + "," + std::to_string(file.minor) : std::to_string(file.size);
}

void print_line(const std::string& path, const gvmi::File& file, bool details) {
    if (details) {
        std::array<char, 32> time{};
        const auto seconds = static_cast<std::time_t>(file.mtime);
        std::tm parts{};
        (void)::gmtime_r(&seconds, &parts);
        (void)std::strftime(time.data(), time.size(), "%Y-%m-%d %H:%M:%S", &parts);
        std::array<char, 128> line{};
        (void)std::snprintf(line.data(), line.size(), "%s %3u %6u:%-6u %12s %s ", gvmi::mode_text(file.mode).c_str(), file.links, file.uid,
                            file.gid, size_or_device(file).c_str(), time.data());
        std::cout << line.data();
    }
    std::cout << base::escape(path);
    if (details && S_ISLNK(file.mode)) std::cout << " -> " << base::escape(file.target);
    std::cout << "\n";
}

int list(const Arguments& arguments) {
    thin::Opened opened(arguments.file);
    return base::with_context(arguments.file, [&] {
        const std::optional<gvmi::File> start = gvmi::find(opened.reader, arguments.path, false);
        if (!start) throw base::Error("there is no " + base::quote(arguments.path) + " in it");
        const auto show = [&](const std::string& path, const gvmi::File& file) {
            if (arguments.json) {
                std::cout << terminal_json(describe(path, file, opened.reader.attributes(file))) << "\n";
            } else {
                print_line(path, file, arguments.details);
            }
        };
        const std::string top = gvmi::absolute_path(arguments.path);
        if (arguments.recursive || !S_ISDIR(start->mode)) {
            gvmi::walk(opened.reader, top, *start, {}, {show});
            return 0;
        }
        for (const gvmi::Name& name : opened.reader.list(*start))
            show((top == "/" ? top : top + "/") + name.name, opened.reader.file(name.position));
        return 0;
    });
}

}  // namespace

void add_ls_command(CLI::App& app, Action& chosen) {
    CLI::App* command = app.add_subcommand("ls", "Lists the files in an image");
    command->footer("Example: gvmi ls -l python.gvmi /usr/bin");
    const auto arguments = std::make_shared<Arguments>();
    command->add_option("FILE", arguments->file, "The .gvmi file")->required();
    command->add_option("PATH", arguments->path, "A folder or file in it")->capture_default_str();
    command->add_flag("-l,--long", arguments->details, "Mode, links, owner, size, time (UTC) and target too");
    command->add_flag("-R,--recursive", arguments->recursive, "Everything below, too");
    command->add_flag("--json", arguments->json,
                      "A JSON object per line, with extended attributes in hex; bytes that are not text as \\xNN");
    command->callback([&chosen, arguments] { chosen = [arguments] { return list(*arguments); }; });
}

}  // namespace cli
