#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "base/fd.h"
#include "base/size.h"
#include "base/untrusted_text.h"
#include "cli/dbg_commands.h"
#include "dbg/copy.h"
#include "dbg/copy/copy_place.h"
#include "dbg/guest_program.h"
#include "dbg/vm_folder.h"
#include "dbg/write_out.h"

namespace cli {
namespace {

constexpr size_t kTarPiece = 64 << 10;

struct CopyArguments {
    std::string source;
    std::string target;
    dbg::CopyOptions options;
    uint64_t limit_gib = dbg::CopyOptions().limit_bytes >> 30;
    bool quiet = false;
};

using Use = dbg::GuestProgram::Use;
using Signals = dbg::GuestProgram::Signals;

void tar_to_stdout(const dbg::Vm& vm, const std::string& path) {
    if (::isatty(STDOUT_FILENO) == 1) throw base::Error("a tar is not for a terminal: lead standard output to a file or a pipe");
    const dbg::SourceName source = dbg::source_name(path);
    const std::string named = source.name.empty() ? dbg::content_of(source.path) : source.path;
    dbg::GuestProgram program(vm, debug::TAR_CREATE, {named}, Use::read, Signals::left);
    for (auto bytes = program.read(); !bytes.empty(); bytes = program.read())
        dbg::write_out(STDOUT_FILENO, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    std::cerr << program.warnings();
}

void tar_from_stdin(const dbg::Vm& vm, const std::string& path) {
    if (::isatty(STDIN_FILENO) == 1) throw base::Error("a tar is not typed: lead a file or a pipe to standard input");
    dbg::GuestProgram program(vm, debug::TAR_EXTRACT, {path, "."}, Use::write, Signals::left);
    std::vector<std::byte> piece(kTarPiece);
    while (const size_t size = base::read_full(STDIN_FILENO, piece, "standard input"))
        program.write(std::span(piece).first(size));
    program.finish();
}

int copy(CopyArguments& arguments) {
    arguments.options.limit_bytes = arguments.limit_gib << 30;
    const dbg::CopyPlace from = dbg::parse_copy_place(arguments.source);
    const dbg::CopyPlace to = dbg::parse_copy_place(arguments.target);
    if (from.vm.empty() == to.vm.empty())
        throw base::Error(from.vm.empty() ? "one of the two has to be in a VM: NAME:/path" : "files are not copied between VMs");
    const bool is_tar = (from.vm.empty() ? from : to).path == "-";
    if (is_tar && arguments.options.follow) throw base::Error("-L: not with a tar, whose links stay links");
    const dbg::Vm vm = dbg::find_vm(dbg::vms_folder(), from.vm + to.vm);
    if (is_tar) {
        from.vm.empty() ? tar_from_stdin(vm, to.path) : tar_to_stdout(vm, from.path);
        return 0;
    }
    const dbg::Copied copied =
        to.vm.empty() ? dbg::copy_out(vm, from.path, to.path, arguments.options) : dbg::copy_in(from.path, vm, to.path, arguments.options);
    std::cerr << copied.warnings;
    if (!arguments.quiet)
        std::cerr << "Successfully copied " << base::format_size(copied.bytes) << " to " << base::escape(arguments.target) << "\n";
    return 0;
}

}  // namespace

void add_cp_command(CLI::App& app, Action& chosen) {
    CLI::App* command = app.add_subcommand("cp", "Copies files and folders between a running VM and this machine, as docker cp does");
    command->footer(
        "Examples: ya-runtime-dbg cp box:/etc/hosts .\n"
        "          ya-runtime-dbg cp src box:/work");
    const auto arguments = std::make_shared<CopyArguments>();
    command->add_option("SOURCE", arguments->source, "NAME:PATH, a path of this machine, or - for a tar on standard input")
        ->required()
        ->type_name("VM|FILE");
    command->add_option("TARGET", arguments->target, "The other side; - for a tar on standard output")->required()->type_name("VM|FILE");
    command->add_flag("-a,--archive", arguments->options.owners,
                      "Keep owners; otherwise files become root's in the VM, and yours on this machine");
    command->add_flag("-L,--follow-link", arguments->options.follow, "Where SOURCE is a symbolic link, copy what it leads to");
    command->add_flag("-q,--quiet", arguments->quiet, "Do not say what was copied");
    command->add_option("--limit-gib", arguments->limit_gib, "Take no more than this from the VM")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    command->callback([&chosen, arguments] { chosen = [arguments] { return copy(*arguments); }; });
}

}  // namespace cli
