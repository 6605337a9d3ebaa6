#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <iostream>
#include <memory>
#include <thread>

#include "base/error.h"
#include "cli/dbg_commands.h"
#include "dbg/vm_folder.h"
#include "debug/client.h"

namespace cli {
namespace {
using namespace std::chrono_literals;

constexpr auto kDebuggerEnds = 10s;  // after its VM

// So that the name is free and `ps` is right for the next command.
void wait_for_debugger(const std::filesystem::path& vms, const dbg::Vm& vm) {
    const auto deadline = std::chrono::steady_clock::now() + kDebuggerEnds;
    while (dbg::still_runs(vms, vm)) {
        if (std::chrono::steady_clock::now() > deadline)
            throw base::Error("the VM has ended, but its debugger (process " + std::to_string(vm.debugger) + ") has not");
        std::this_thread::sleep_for(20ms);
    }
}

int stop(const std::vector<std::string>& names) {
    const std::filesystem::path vms = dbg::vms_folder();
    std::vector<dbg::Vm> found;
    found.reserve(names.size());
    for (const std::string& name : names)
        found.push_back(dbg::find_vm(vms, name));
    for (const dbg::Vm& vm : found) {
        base::with_context("cannot stop " + vm.name, [&vms, &vm] {
            boost::asio::io_context io(1);
            const std::filesystem::path socket = vm.socket();
            std::future<void> ended = boost::asio::co_spawn(io, debug::stop(io.get_executor(), socket), boost::asio::use_future);
            io.run();
            ended.get();
            wait_for_debugger(vms, vm);
        });
        std::cout << vm.name << "\n";
    }
    return 0;
}

}  // namespace

void add_stop_command(CLI::App& app, Action& chosen) {
    CLI::App* command = app.add_subcommand("stop", "Ends VMs in order, as a provider does, and waits for their end");
    const auto names = std::make_shared<std::vector<std::string>>();
    command->add_option("NAME", *names, "The VMs")->required()->type_name("VM");
    command->callback([&chosen, names] { chosen = [names] { return stop(*names); }; });
}

}  // namespace cli
