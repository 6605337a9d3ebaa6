#include "vm/exit_reason.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <csignal>
#include <string_view>

#include "base/subprocess.h"

namespace vm {
namespace {

bool contains(std::string_view text, std::string_view what) {
    return text.find(what) != std::string_view::npos;
}

// QEMU's last error line ("qemu-system-x86_64: …") without the program's name; else its last line.
std::string last_error(std::string_view errors) {
    constexpr std::string_view kPrefix = "qemu-system-x86_64: ";
    std::string_view last;
    std::string_view last_own;
    while (!errors.empty()) {
        const std::string_view line = errors.substr(0, errors.find('\n'));
        errors.remove_prefix(std::min(errors.size(), line.size() + 1));
        if (line.empty()) continue;
        last = line;
        if (line.starts_with(kPrefix)) last_own = line.substr(kPrefix.size());
    }
    return std::string(last_own.empty() ? last : last_own);
}

std::string describe_signal(int signal, const std::string& error) {
    if (signal == SIGKILL) return "QEMU was killed by signal 9 (perhaps the host is out of memory)";
    if (signal == SIGSYS) return "QEMU was killed by its sandbox (signal 31): it made a system call that is forbidden to it";
    return fmt::format("QEMU was killed by signal {}{}{}", signal, error.empty() ? "" : ": ", error);
}

std::string describe_exit_code(int code, const std::string& console, const std::string& error) {
    constexpr std::string_view kPanic = "Kernel panic - not syncing: ";
    if (const size_t at = console.rfind(kPanic); at != std::string::npos) {
        const size_t begin = at + kPanic.size();
        return "the guest's kernel panicked: " + console.substr(begin, console.find('\n', begin) - begin);
    }
    if (code == 0) return "the guest stopped the VM";
    if (contains(error, "Cannot allocate memory") || contains(error, "cannot set up guest memory"))
        return "the host has not enough memory for the VM: " + error;
    return error.empty() ? fmt::format("QEMU ended with exit code {}", code) : "QEMU: " + error;
}

}  // namespace

ExitReason describe_exit(int wait_status, const std::string& console, const std::string& errors) {
    ExitReason exit;
    const std::string error = last_error(errors);
    exit.code = base::exit_code(wait_status);
    exit.reason = WIFSIGNALED(wait_status) ? describe_signal(WTERMSIG(wait_status), error) : describe_exit_code(exit.code, console, error);
    exit.last_lines = console;
    if (!console.empty() && !console.ends_with('\n')) exit.last_lines += '\n';
    exit.last_lines += errors;
    return exit;
}

}  // namespace vm
