#include <algorithm>
#include <iomanip>
#include <iostream>
#include <memory>

#include "cli/dbg_commands.h"
#include "dbg/vm_folder.h"

namespace cli {
namespace {

std::string counted(std::time_t count, const std::string& unit) {
    return "Up " + std::to_string(count) + " " + unit + (count == 1 ? "" : "s");
}

std::string status(const dbg::Vm& vm) {
    const std::time_t seconds = std::max<std::time_t>(std::time(nullptr) - vm.started, 0);
    constexpr std::time_t kMinute = 60;
    constexpr std::time_t kHour = 60 * kMinute;
    constexpr std::time_t kDay = 24 * kHour;
    if (seconds < kMinute) return counted(seconds, "second");
    if (seconds < kHour) return counted(seconds / kMinute, "minute");
    if (seconds < kDay) return counted(seconds / kHour, "hour");
    return counted(seconds / kDay, "day");
}

int print_json(const std::vector<dbg::Vm>& vms) {
    for (const dbg::Vm& vm : vms) {
        std::cout << terminal_json({{"name", vm.name},
                                    {"image", vm.image},
                                    {"started", vm.started},
                                    {"pid", vm.debugger},
                                    {"workdir", vm.workdir.string()}})
                  << "\n";
    }
    return 0;
}

int print_names(const std::vector<dbg::Vm>& vms) {
    for (const dbg::Vm& vm : vms)
        std::cout << vm.name << "\n";
    return 0;
}

int print_table(const std::vector<dbg::Vm>& vms) {
    constexpr size_t kGap = 3;
    constexpr int kStatusWidth = 16;  // "Up 59 minutes" and the gap
    size_t name_width = std::string_view("NAME").size();
    size_t image_width = std::string_view("IMAGE").size();
    for (const dbg::Vm& vm : vms) {
        name_width = std::max(name_width, vm.name.size());
        image_width = std::max(image_width, vm.image.size());
    }
    const auto line = [&](std::string_view name, std::string_view image, std::string_view up, std::string_view pid) {
        std::cout << std::left << std::setw(static_cast<int>(name_width + kGap)) << name << std::setw(static_cast<int>(image_width + kGap))
                  << image << std::setw(kStatusWidth) << up << pid << "\n";
    };
    line("NAME", "IMAGE", "STATUS", "PID");
    for (const dbg::Vm& vm : vms)
        line(vm.name, vm.image, status(vm), std::to_string(vm.debugger));
    return 0;
}

}  // namespace

void add_ps_command(CLI::App& app, Action& chosen) {
    CLI::App* command = app.add_subcommand("ps", "Lists the running VMs");
    const auto format = std::make_shared<std::string>("table");
    command->add_option("--format", *format, "table, or json: an object per line")
        ->check(CLI::IsMember({"table", "json"}))
        ->option_text("table|json");
    const auto quiet = std::make_shared<bool>(false);
    command->add_flag("-q,--quiet", *quiet, "The names alone")->excludes("--format");
    command->callback([&chosen, format, quiet] {
        chosen = [format, quiet] {
            const std::vector<dbg::Vm> vms = dbg::running_vms(dbg::vms_folder());
            if (*quiet) return print_names(vms);
            return *format == "json" ? print_json(vms) : print_table(vms);
        };
    });
}

}  // namespace cli
