#include "base/subprocess.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <sstream>

#include "base/error.h"

extern "C" char** environ;  // NOLINT(readability-redundant-declaration)

namespace base {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& strings) {
    std::vector<char*> result;
    result.reserve(strings.size() + 1);
    for (const std::string& s : strings)
        result.push_back(const_cast<char*>(s.c_str()));
    result.push_back(nullptr);
    return result;
}

// What the child needs, made before the fork: after it only async-signal-safe calls are allowed.
struct Prepared {
    std::string program;
    std::vector<char*> argv;
    std::vector<char*> environment;
    std::vector<std::pair<int, int>> fds;
    int null_fd;
    int report_fd;  // takes the errno of a failed start; closed by a successful exec
    pid_t parent;
};

// Puts each descriptor under its number. First all are moved out of the way of all targets, so that no dup2 closes one that is still
// needed.
bool place_descriptors(Prepared& p) {
    int floor = 3;
    for (const auto& [from, to] : p.fds)
        floor = std::max(floor, to + 1);
    p.report_fd = ::fcntl(p.report_fd, F_DUPFD_CLOEXEC, floor);
    if (p.report_fd < 0) return false;
    for (auto& [from, to] : p.fds) {
        from = ::fcntl(from, F_DUPFD_CLOEXEC, floor);
        if (from < 0) return false;
    }
    for (int fd = 0; fd < 3; fd++) {
        if (::dup2(p.null_fd, fd) < 0) return false;
    }
    return std::all_of(p.fds.begin(), p.fds.end(), [](const auto& pair) { return ::dup2(pair.first, pair.second) >= 0; });
}

void reset_signals(bool block_terminal_signals) {
    for (int signal = 1; signal < NSIG; signal++)
        (void)::signal(signal, SIG_DFL);
    sigset_t mask;
    sigemptyset(&mask);
    if (block_terminal_signals) {
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGHUP);
    }
    ::sigprocmask(SIG_SETMASK, &mask, nullptr);
}

[[noreturn]] void child_main(Prepared& p, const Command& command) {
    reset_signals(command.block_terminal_signals);
    // The child must not get descriptors that our own parent left open without close-on-exec. dup2 clears the flag on those that it keeps.
    ::syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
    // The parent may have died before the prctl; then nothing would ever kill us.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || ::getppid() != p.parent) ::_exit(126);
    if (place_descriptors(p) && (!command.before_exec || command.before_exec()))
        ::execve(p.program.c_str(), p.argv.data(), p.environment.data());
    const int error = errno;
    (void)!::write(p.report_fd, &error, sizeof error);
    ::_exit(126);
}

}  // namespace

Child::Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}

Child& Child::operator=(Child&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(pidfd_, other.pidfd_);
    return *this;
}

Child::~Child() {
    if (pid_ < 0) return;
    kill(SIGKILL);
    (void)::waitpid(pid_, nullptr, 0);
}

int Child::wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0) {
        if (errno != EINTR) throw_errno("cannot wait for a child");
    }
    pid_ = -1;
    return status;
}

void Child::kill(int signal) {
    if (pid_ > 0) (void)::kill(pid_, signal);
}

Child spawn(const Command& command) {
    Prepared p;
    p.program = find_program(command.argv.at(0));
    if (p.program.empty()) throw SystemError(ENOENT, "cannot start " + command.argv[0]);
    p.argv = pointers(command.argv);
    p.environment = pointers(command.environment);
    p.fds = command.fds;
    const UniqueFd null_fd = open_file("/dev/null", O_RDWR);
    p.null_fd = null_fd.get();
    p.parent = ::getpid();
    auto [report_read, report_write] = make_pipe();
    p.report_fd = report_write.get();

    Child child;
    child.pid_ = ::fork();
    if (child.pid_ < 0) throw_errno("cannot fork");
    if (child.pid_ == 0) child_main(p, command);
    report_write.reset();
    child.pidfd_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, child.pid_, 0)));
    int error = 0;
    if (read_full(report_read.get(), std::as_writable_bytes(std::span(&error, 1)), "a pipe") == sizeof error) {
        throw SystemError(error, "cannot start " + p.program);
    }
    if (!child.pidfd_) throw_errno("cannot open a pidfd of ", p.program);
    return child;
}

std::vector<std::string> own_environment() {
    std::vector<std::string> variables;
    for (char** entry = environ; *entry; entry++)
        variables.emplace_back(*entry);
    return variables;
}

Finished run(const std::vector<std::string>& argv) {
    constexpr size_t kOutputLimit = 1 << 20;
    auto [read_end, write_end] = make_pipe();
    Command command{.argv = argv, .environment = own_environment(), .fds = {{write_end.get(), 1}, {write_end.get(), 2}}};
    Child child = spawn(command);
    write_end.reset();
    Finished finished;
    char block[16384];
    while (const size_t n = read_full(read_end.get(), std::as_writable_bytes(std::span(block)), "the output of " + argv[0])) {
        finished.output.append(block, std::min(n, kOutputLimit - finished.output.size()));
    }
    finished.code = exit_code(child.wait());
    return finished;
}

int exit_code(int wait_status) {
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

std::string find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) return name;
    const char* path = std::getenv("PATH");
    std::stringstream folders(path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    for (std::string folder; std::getline(folders, folder, ':');) {
        std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
        if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    }
    // mkfs.ext4 is in a folder outside an ordinary user's PATH.
    for (const char* folder : {"/usr/sbin/", "/sbin/"}) {
        if (::access((folder + name).c_str(), X_OK) == 0) return folder + name;
    }
    return {};
}

}  // namespace base
