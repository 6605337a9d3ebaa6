#include "runtime/report.h"

#include <fmt/format.h>
#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <sstream>

#include "base/error.h"
#include "base/size.h"
#include "base/subprocess.h"
#include "base/timings.h"
#include "base/untrusted_text.h"
#include "release/release.h"
#include "runtime/host/kvm.h"
#include "runtime/host/limits.h"
#include "runtime/host/offer.h"
#include "runtime/templates.h"
#include "vm/cgroup.h"
#include "vm/confinement.h"

namespace runtime {
namespace {

constexpr size_t kLongestValue = 1000;

// What follows a key at the beginning of a line, quotes taken off.
std::string value_of(const std::string& text, const std::string& key) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with(key)) continue;
        const size_t begin = line.find_first_not_of(" \t\"", key.size());
        if (begin == std::string::npos) break;
        return line.substr(begin, line.find_last_not_of(" \t\"") - begin + 1);
    }
    return "unknown";
}

std::string limit(int resource) {
    rlimit values{};
    (void)::getrlimit(static_cast<__rlimit_resource>(resource), &values);
    const auto shown = [](rlim_t value) { return value == RLIM_INFINITY ? "unlimited" : std::to_string(value); };
    return shown(values.rlim_cur) + " of " + shown(values.rlim_max);
}

std::string qemu_version(const Options& options) {
    try {
        const vm::QemuProgram qemu = find_qemu(options);
        const std::string said = base::run({qemu.file, "--version"}).output;
        return said.substr(0, said.find('\n')) + (qemu.is_ours() ? ", our own" : ", a system's");
    } catch (const base::Error& e) {
        return e.what();
    }
}

std::string or_none(const std::string& text, const char* none) {
    return text.empty() ? none : text;
}

std::string time_line() {
    std::string text;
    for (const base::Timings::Step& step : base::timings().steps())
        text += fmt::format("{}{} {:.3f} s", text.empty() ? "" : ", ", step.what, step.at);
    return or_none(text, "none");
}

bool is_part_of_a_name(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
}

std::string replaced(std::string text, const std::string& name, const std::string& by) {
    if (name.empty()) return text;
    for (size_t at = 0; (at = text.find(name, at)) != std::string::npos;) {
        const size_t end = at + name.size();
        const bool whole = (at == 0 || !is_part_of_a_name(text[at - 1])) && (end == text.size() || !is_part_of_a_name(text[end]));
        if (whole) text.replace(at, name.size(), by);
        at += whole ? by.size() : name.size();
    }
    return text;
}

}  // namespace

std::string without_names(std::string text, const std::string& home, const std::string& user) {
    if (home != "/") text = replaced(std::move(text), home, "~");
    return user == "root" ? text : replaced(std::move(text), user, "USER");
}

std::string report(const Host& host, const Options& options, const SelfTestOutcome& outcome) {
    const Cpu cpu = describe_cpu(host.cpuid);
    const std::string self_test =
        outcome.failure.empty() ? fmt::format("passed in {:.2f} s", outcome.took.count()) : "failed: " + outcome.failure;
    const std::vector<std::pair<const char*, std::string>> lines{
        {"gvmkit", release::version_and_commit()},
        {"system", value_of(host_text(host, "etc/os-release"), "PRETTY_NAME=")},
        {"kernel", value_of(host_text(host, "proc/sys/kernel/osrelease"), "")},
        {"CPU", fmt::format("{}, {}, {} cores for us", cpu.brand, cpu.model, ::sysconf(_SC_NPROCESSORS_ONLN))},
        {"CPU of a VM", or_none(options.cpu, options.accelerator == AcceleratorChoice::tcg ? "max" : "host; max under emulation")},
        {"memory", value_of(host_text(host, "proc/meminfo"), "MemTotal:") + ", available " + base::format_size(available_memory(host))},
        {"user", ::geteuid() == 0 ? "root" : "not root"},
        {"/dev/kvm", or_none(kvm_obstacle(host.root / "dev/kvm"), "opens")},
        {"QEMU", qemu_version(options)},
        {"confinement", or_none(vm::confinement_gaps(), "whole")},
        {"cgroup of QEMU's own", or_none(vm::cgroup_obstacle(), "yes")},
        {"open files", limit(RLIMIT_NOFILE)},
        {"locked memory", limit(RLIMIT_MEMLOCK)},
        {"self-test", self_test},
        {"time line", time_line()},
    };
    const char* home = std::getenv("HOME");
    const passwd* entry = ::getpwuid(::geteuid());
    std::string page;
    for (const auto& [name, value] : lines)
        page += fmt::format("{}: {}\n", name, base::printable(value, kLongestValue));
    return without_names(page, home ? home : "", entry ? entry->pw_name : "");
}

}  // namespace runtime
