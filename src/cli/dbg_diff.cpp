#include <climits>
#include <iostream>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "base/untrusted_text.h"
#include "cli/dbg_commands.h"
#include "dbg/guest_program.h"
#include "dbg/vm_folder.h"

namespace cli {
namespace {

// "K /path".
void print_change(std::string_view record) {
    const bool valid = record.size() > 2 && std::string_view("ACD").find(record[0]) != std::string_view::npos && record[1] == ' ';
    if (!valid) throw base::Error("the VM sent no list of changes");
    std::cout << record[0] << ' ' << base::escape(record.substr(2)) << '\n';
}

int show_changes(const std::string& name) {
    const dbg::Vm vm = dbg::find_vm(dbg::vms_folder(), name);
    dbg::GuestProgram program(vm, debug::CHANGES, {"list"}, dbg::GuestProgram::Use::read, dbg::GuestProgram::Signals::left);
    std::string pending;
    for (auto bytes = program.read(); !bytes.empty() && std::cout; bytes = program.read()) {
        pending.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        size_t start = 0;
        for (size_t end = pending.find('\0'); end != std::string::npos; end = pending.find('\0', start)) {
            print_change(std::string_view(pending).substr(start, end - start));
            start = end + 1;
        }
        pending.erase(0, start);
        if (pending.size() > PATH_MAX + 2) throw base::Error("the VM sent a path of more than " + std::to_string(PATH_MAX) + " bytes");
    }
    if (!pending.empty()) throw base::Error("the VM sent no list of changes");
    return 0;
}

}  // namespace

void add_diff_command(CLI::App& app, Action& chosen) {
    CLI::App* command =
        app.add_subcommand("diff", "Lists what differs in a VM's root from its image: A added, C changed, D deleted; not volumes");
    const auto name = std::make_shared<std::string>();
    command->add_option("NAME", *name, "The VM")->required()->type_name("VM");
    command->callback([&chosen, name] { chosen = [name] { return show_changes(*name); }; });
}

}  // namespace cli
