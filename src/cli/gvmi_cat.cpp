#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "base/error.h"
#include "base/fd.h"
#include "base/untrusted_text.h"
#include "cli/gvmi_commands.h"
#include "gvmi/squashfs_tree.h"
#include "gvmi/verify.h"
#include "thin/opened.h"

namespace cli {
namespace {

struct Arguments {
    std::string file;
    std::string path;
    uint64_t limit_gib = gvmi::Limits().bytes >> 30;
};

int print_file(const Arguments& arguments) {
    thin::Opened opened(arguments.file);
    return base::with_context(arguments.file + ": " + base::quote(arguments.path), [&] {
        const std::optional<gvmi::File> file = gvmi::find(opened.reader, arguments.path);
        if (!file) throw base::Error("there is no such file");
        if (!S_ISREG(file->mode)) throw base::Error("it is not a file with content");
        const uint64_t limit = arguments.limit_gib << 30;
        if (file->size > limit) throw base::Error("it is longer than the limit: " + std::to_string(file->size) + " bytes");
        static constexpr std::array<std::byte, size_t{1} << 20> kZeros{};
        gvmi::FileData data(opened.reader, *file);
        for (auto block = data.next(); block.size > 0; block = data.next())
            base::write_all(STDOUT_FILENO, block.bytes.empty() ? std::span(kZeros).first(block.size) : block.bytes, "standard output");
        return 0;
    });
}

}  // namespace

void add_cat_command(CLI::App& app, Action& chosen) {
    CLI::App* command = app.add_subcommand("cat", "Prints the content of a file in an image");
    command->footer("Example: gvmi cat python.gvmi /etc/os-release");
    const auto arguments = std::make_shared<Arguments>();
    command->add_option("FILE", arguments->file, "The .gvmi file")->required();
    command->add_option("PATH", arguments->path, "The file in it; symbolic links are followed inside the image")->required();
    command->add_option("--limit-gib", arguments->limit_gib, "Refuse a file that is longer")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    command->callback([&chosen, arguments] { chosen = [arguments] { return print_file(*arguments); }; });
}

}  // namespace cli
