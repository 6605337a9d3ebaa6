#include <fcntl.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/size.h"
#include "cli/dbg_commands.h"
#include "cli/interruptible.h"
#include "cli/transfer_progress.h"
#include "convert/config.h"
#include "convert/convert.h"
#include "convert/squashfs_entries.h"
#include "dbg/guest_program.h"
#include "dbg/vm_folder.h"
#include "gvmi/hash.h"
#include "oci/image.h"
#include "thin/opened.h"

namespace cli {
namespace {

constexpr size_t kMaxDeployment = 4 << 20;  // as the runtime's

struct CommitArguments {
    std::string name;
    std::string output;
    std::vector<std::string> env;
    std::optional<std::string> entrypoint;
    std::optional<std::string> cmd;
    std::optional<std::string> user;
    std::optional<std::string> working_dir;
    std::string method = "gzip";
    uint64_t limit_gib = oci::kDefaultLimit >> 30;
};

// A list in JSON, as in a Dockerfile; anything else is one text.
std::optional<std::vector<std::string>> json_list(const std::string& text) {
    if (!text.starts_with('[')) return std::nullopt;
    try {
        return base::parse_json(text).get<std::vector<std::string>>();
    } catch (const nlohmann::json::exception&) {
        throw base::Error(text + " is not a list of texts");
    }
}

convert::Changes changes_of(const CommitArguments& arguments) {
    convert::Changes changes{.env = arguments.env, .user = arguments.user, .working_dir = arguments.working_dir};
    if (arguments.entrypoint) changes.entrypoint = json_list(*arguments.entrypoint).value_or(std::vector{*arguments.entrypoint});
    if (arguments.cmd) changes.cmd = json_list(*arguments.cmd).value_or(std::vector<std::string>{"/bin/sh", "-c", *arguments.cmd});
    return changes;
}

// The file that the debugger holds open, whatever its name stands for by now. A VM that was deployed before has no image of its own.
std::filesystem::path image_of(const dbg::Vm& vm) {
    const std::filesystem::path record = vm.workdir / "deployment.json";
    const nlohmann::json images = base::parse_json(base::read_file(record, kMaxDeployment)).value("images", nlohmann::json::array());
    if (images.size() != 1) throw base::Error(vm.name + " has " + std::to_string(images.size()) + " images, and only one can be committed");
    return vm.image_fd < 0 ? std::filesystem::path(images[0].get<std::string>()) : vm.image_file();
}

// What differs from the image, in a temporary file.
oci::Layer changed_layer(const dbg::Vm& vm, uint64_t limit) {
    const auto file = std::make_shared<base::UniqueFd>(oci::unnamed_file());
    const std::string name = "a temporary file in " + std::filesystem::temp_directory_path().string();
    base::Hasher hasher(base::Hasher::Kind::sha256);
    oci::Layer layer;
    dbg::GuestProgram program(vm, debug::CHANGES, {"layer"}, dbg::GuestProgram::Use::read, dbg::GuestProgram::Signals::left);
    for (auto bytes = program.read(); !bytes.empty(); bytes = program.read()) {
        layer.size += bytes.size();
        if (layer.size > limit) throw base::Error(vm.name + " has more than " + base::format_size(limit) + " of changes (--limit-gib)");
        hasher.update(bytes);
        base::write_all(file->get(), bytes, name);
    }
    std::cerr << program.warnings();
    layer.name = "the changes in " + vm.name;
    layer.diff_id = hasher.hex();
    layer.limit = limit;
    layer.open_blob = [file, name] { return oci::read_file(file, name); };
    return layer;
}

// The VM's image with the changes as a further layer. Its id depends on both.
oci::Image changed_image(const thin::Opened& base, oci::Layer changes, const gvmi::ReadAt& read) {
    oci::Image image;
    image.config = {{"config", base.image.config.json}};
    const std::string parts = nlohmann::json({base.image.config.json, changes.diff_id}).dump();
    image.id = base::sha256_hex(std::as_bytes(std::span(parts)));
    oci::Layer layer;
    layer.name = "the VM's image";
    layer.open_entries = [read] { return convert::open_squashfs(read); };
    image.layers = {std::move(layer), std::move(changes)};
    return image;
}

void write_image(const CommitArguments& arguments, const dbg::Vm& vm, oci::Layer changes) {
    const thin::Opened base(image_of(vm));
    TransferProgress progress("committing", true);
    uint64_t done = 0;
    const gvmi::ReadAt read = [&](std::span<std::byte> buffer, uint64_t position) {
        Interruptible::check();
        progress.show(std::min(done += buffer.size(), base.size), base.size);
        return base.read(buffer, position);
    };
    const oci::Image image = changed_image(base, std::move(changes), read);
    std::vector<std::string> notes;
    const nlohmann::json config = convert::container_config(image, changes_of(arguments), notes);
    convert::Options options;
    const gvmi::Method method = *gvmi::method_by_name(arguments.method);
    options.compression = {method, gvmi::levels_of(method).standard};
    options.limits.data_bytes = arguments.limit_gib << 30;
    options.workers = std::max(1U, std::thread::hardware_concurrency());
    options.progress = [](uint64_t, uint64_t) { Interruptible::check(); };
    base::AtomicFile file(arguments.output);
    const convert::Summary summary = convert::convert(image, config, file.fd().get(), arguments.output, options);
    const std::string hash = gvmi::image_hash(file.fd().get(), arguments.output, [](uint64_t) { Interruptible::check(); });
    file.commit();
    std::cout << arguments.output << ": " << summary.inodes << " inodes, " << base::format_size(summary.data_bytes) << " of files in "
              << base::format_size(summary.file_bytes) << "\nimage hash: " << hash << "\n";
}

int commit(const CommitArguments& arguments) {
    const dbg::Vm vm = dbg::find_vm(dbg::vms_folder(), arguments.name);
    base::with_context("cannot commit " + vm.name, [&] {
        (void)changes_of(arguments);  // refuses wrong ones before the VM has to work
        oci::Layer changes = changed_layer(vm, arguments.limit_gib << 30);
        const Interruptible interruptible;
        write_image(arguments, vm, std::move(changes));
    });
    return 0;
}

void add_commit_options(CLI::App& command, CommitArguments& arguments) {
    command.add_option("NAME", arguments.name, "The VM")->required()->type_name("VM");
    command.add_option("-o,--output", arguments.output, "The .gvmi to write")->required()->type_name("FILE");
    command.add_option("--env", arguments.env, "Set a variable of the new image; repeatable")
        ->take_all()
        ->allow_extra_args(false)
        ->option_text("K=V");
    command.add_option("--entrypoint", arguments.entrypoint, "Its entrypoint, which drops its command: a program, or a list in JSON");
    command.add_option("--cmd", arguments.cmd, "Its command: a line for /bin/sh, or a list in JSON");
    command.add_option("--user", arguments.user, "Whom its programs run as");
    command.add_option("--workdir", arguments.working_dir, "Their folder");
    command.add_option("--compression-method", arguments.method, "How it is compressed")
        ->check(CLI::IsMember(gvmi::method_names()))
        ->capture_default_str();
    command.add_option("--limit-gib", arguments.limit_gib, "Stop at more data than this")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
}

}  // namespace

void add_commit_command(CLI::App& app, Action& chosen) {
    CLI::App* command = app.add_subcommand("commit", "Writes a VM's image with what was changed in the root as a new image");
    command->footer("Example: ya-runtime-dbg commit box -o new.gvmi");
    const auto arguments = std::make_shared<CommitArguments>();
    add_commit_options(*command, *arguments);
    command->callback([&chosen, arguments] { chosen = [arguments] { return commit(*arguments); }; });
}

}  // namespace cli
