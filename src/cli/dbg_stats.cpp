#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <thread>

#include "base/error.h"
#include "base/size.h"
#include "cli/dbg_commands.h"
#include "dbg/vm_folder.h"
#include "debug/client.h"

namespace cli {
namespace {
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kInterval = 1s;
constexpr const char* kHeader = "NAME                 CPU %    MEMORY / LIMIT           DISK         NET IN / OUT             PROCESSES";

struct Measured {
    debug::Figures figures;
    Clock::time_point at;
};

Measured measure(const dbg::Vm& vm) {
    boost::asio::io_context io(1);
    const std::filesystem::path socket = vm.socket();
    std::future<debug::Figures> figures = boost::asio::co_spawn(io, debug::measure(io.get_executor(), socket), boost::asio::use_future);
    io.run();
    return {.figures = figures.get(), .at = Clock::now()};
}

// 100 is one core of the host.
double cpu_percent(const Measured& before, const Measured& now) {
    const std::chrono::duration<double, std::nano> time = now.at - before.at;
    const uint64_t used = now.figures.cpu_ns() - std::min(before.figures.cpu_ns(), now.figures.cpu_ns());
    return 100 * static_cast<double>(used) / time.count();
}

std::string line(const dbg::Vm& vm, const Measured& before, const Measured& now) {
    const debug::Figures& figures = now.figures;
    const std::string memory = base::format_size(figures.memory_bytes()) + " / " + base::format_size(figures.memory_limit_bytes());
    const std::string traffic = base::format_size(figures.received_bytes()) + " / " + base::format_size(figures.sent_bytes());
    std::array<char, 256> text{};
    (void)std::snprintf(text.data(), text.size(), "%-20s %-8.2f %-24s %-12s %-24s %u", vm.name.c_str(), cpu_percent(before, now),
                        memory.c_str(), base::format_size(figures.disk_bytes()).c_str(), traffic.c_str(), figures.processes());
    return text.data();
}

int show(const std::string& name, bool once) {
    const std::filesystem::path vms = dbg::vms_folder();
    const dbg::Vm vm = dbg::find_vm(vms, name);
    const bool in_place = !once && ::isatty(STDOUT_FILENO) == 1;
    std::cout << kHeader << "\n" << std::flush;
    try {
        Measured before = measure(vm);
        for (bool first = true;; first = false) {
            std::this_thread::sleep_for(kInterval);
            const Measured now = measure(vm);
            // Up one line, and clear what is longer there.
            std::cout << (in_place && !first ? "\x1b[A\r" : "") << line(vm, before, now) << (in_place ? "\x1b[K\n" : "\n") << std::flush;
            if (once || !std::cout) return 0;
            before = now;
        }
    } catch (const base::Error&) {
        if (once || dbg::still_runs(vms, vm)) throw;
        return 0;  // its end ends the table
    }
}

}  // namespace

void add_stats_command(CLI::App& app, Action& chosen) {
    CLI::App* command = app.add_subcommand("stats", "Shows each second what a VM uses, until it ends");
    const auto name = std::make_shared<std::string>();
    const auto once = std::make_shared<bool>(false);
    command->add_option("NAME", *name, "The VM")->required()->type_name("VM");
    command->add_flag("--no-stream", *once, "Show it once");
    command->callback([&chosen, name, once] { chosen = [name, once] { return show(*name, *once); }; });
}

}  // namespace cli
