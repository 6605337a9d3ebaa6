#include "base/subprocess.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
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
    int report_fd;         // takes the errno of a failed start; closed by a successful exec
    int report_reader_fd;  // the parent's end, which the child lets go
    int go_fd;             // ends when the child's namespaces are ready
    int go_writer_fd;      // the parent's end
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

bool has_reader(int pipe) {
    pollfd state{.fd = pipe, .events = 0, .revents = 0};
    return ::poll(&state, 1, 0) >= 0 && (state.revents & POLLERR) == 0;
}

// fork(2) into new namespaces. The C library's fork knows none, and the child needs nothing of what it does beyond the call.
pid_t fork_into(const std::optional<NewNamespaces>& namespaces) {
    if (!namespaces) return ::fork();
    return static_cast<pid_t>(::syscall(SYS_clone, namespaces->flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

// While it lasts, /proc/PID of a child that is forked is the user's own, so that its maps can be written; it has what PR_SET_DUMPABLE says.
class Dumpable {
public:
    Dumpable() { (void)::prctl(PR_SET_DUMPABLE, 1); }
    ~Dumpable() { (void)::prctl(PR_SET_DUMPABLE, before_); }
    Dumpable(const Dumpable&) = delete;
    Dumpable& operator=(const Dumpable&) = delete;

private:
    int before_ = ::prctl(PR_GET_DUMPABLE);
};

// Only from outside may more than one id be mapped.
void map_ids(pid_t child, const NewNamespaces& namespaces) {
    const std::string folder = "/proc/" + std::to_string(child) + "/";
    const auto write = [&](const char* name, const std::string& text) {
        write_all(open_file(folder + name, O_WRONLY).get(), text, folder + name);
    };
    if (!namespaces.setgroups) write("setgroups", "deny");
    write("uid_map", namespaces.user_map);
    write("gid_map", namespaces.group_map);
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
    ::close(p.report_reader_fd);
    ::close(p.go_writer_fd);
    // The parent may have died before the prctl; then nothing would ever kill us. Its PID does not tell: in a PID namespace of our own we
    // see none.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || !has_reader(p.report_fd)) ::_exit(126);
    if (command.own_group) (void)::setpgid(0, 0);  // which does not fail for a new child
    char ignored = 0;
    while (::read(p.go_fd, &ignored, 1) < 0 && errno == EINTR) {
    }
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
    auto [report_read, report_write] = make_pipe();
    p.report_fd = report_write.get();
    p.report_reader_fd = report_read.get();
    auto [go_read, go_write] = make_pipe();
    p.go_fd = go_read.get();
    p.go_writer_fd = go_write.get();

    std::optional<Dumpable> dumpable;
    if (command.namespaces) dumpable.emplace();
    Child child;
    child.pid_ = fork_into(command.namespaces);
    if (child.pid_ < 0) throw_errno("cannot start ", p.program, command.namespaces ? ": new namespaces" : ": fork");
    if (child.pid_ == 0) child_main(p, command);
    report_write.reset();
    if (command.namespaces) map_ids(child.pid_, *command.namespaces);
    go_write.reset();
    dumpable.reset();
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

Finished run(const std::vector<std::string>& argv, const std::vector<std::pair<int, int>>& fds,
             const std::vector<std::string>& environment) {
    constexpr size_t kOutputLimit = 1 << 20;
    auto [read_end, write_end] = make_pipe();
    Command command{.argv = argv, .environment = environment, .fds = {{write_end.get(), 1}, {write_end.get(), 2}}};
    command.fds.insert(command.fds.end(), fds.begin(), fds.end());
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
