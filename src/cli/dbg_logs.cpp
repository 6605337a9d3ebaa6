#include <fcntl.h>

#include <array>
#include <chrono>
#include <iostream>
#include <memory>
#include <span>
#include <thread>

#include "base/fd.h"
#include "base/untrusted_text.h"
#include "cli/dbg_commands.h"
#include "dbg/vm_folder.h"

namespace cli {
namespace {
using namespace std::chrono_literals;

constexpr size_t kPiece = 64 << 10;
constexpr auto kPoll = 100ms;

// Prints what has been added since the last call.
void print_more(const base::UniqueFd& log) {
    std::array<char, kPiece> piece{};
    while (const size_t size = base::read_full(log.get(), std::as_writable_bytes(std::span(piece)), "the log"))
        std::cout << base::printable_lines({piece.data(), size});
    std::cout << std::flush;
}

int show(const std::string& name, bool follow) {
    const std::filesystem::path vms = dbg::vms_folder();
    const dbg::Vm vm = dbg::find_vm(vms, name);
    const base::UniqueFd log = base::open_file(vm.log(), O_RDONLY);
    print_more(log);
    while (follow && std::cout && dbg::still_runs(vms, vm)) {
        std::this_thread::sleep_for(kPoll);
        print_more(log);
    }
    if (follow) print_more(log);
    return 0;
}

}  // namespace

void add_logs_command(CLI::App& app, Action& chosen) {
    CLI::App* command = app.add_subcommand("logs", "Shows the log of a VM's runtime, with what its guest told");
    const auto name = std::make_shared<std::string>();
    const auto follow = std::make_shared<bool>(false);
    command->add_option("NAME", *name, "The VM")->required()->type_name("VM");
    command->add_flag("-f,--follow", *follow, "Go on until the VM ends");
    command->callback([&chosen, name, follow] { chosen = [name, follow] { return show(*name, *follow); }; });
}

}  // namespace cli
