#include "init/spawn.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>

#include "init/syscalls.h"

namespace init {
namespace {

constexpr size_t kStackBytes = 16 << 10;
constexpr int kPipeBytes = 256 << 10;
constexpr rlimit kOpenFiles{1024, 524288};  // what Docker's containers get; init's own limit is higher

enum class Stage : int { session, descriptors, work_dir, user, program };

struct Report {
    Stage stage;
    int error;
    int found;  // whether the file of the last candidate exists
};

// The kernel's signal set, which is smaller than glibc's.
using KernelSignals = unsigned long;

std::vector<char*> pointers(const std::vector<std::string>& strings) {
    std::vector<char*> result;
    result.reserve(strings.size() + 1);
    for (const std::string& s : strings)
        result.push_back(const_cast<char*>(s.c_str()));
    result.push_back(nullptr);
    return result;
}

bool make_pipe(base::UniqueFd& read_end, base::UniqueFd& write_end, int flags) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | flags) < 0) return false;
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
    return true;
}

// The program's ends of its streams.
struct ProgramEnds {
    base::UniqueFd in;
    base::UniqueFd out;
    base::UniqueFd err;
};

// A second descriptor for writing: an epoll takes each once.
bool make_terminal(const agent::Terminal& size, base::UniqueFd& out, base::UniqueFd& in, ProgramEnds& program) {
    // A file system of the VM's programs, mounted in its place, could block us.
    const base::UniqueFd pts(::open("/dev/pts", O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct statfs system {};
    if (!pts || ::fstatfs(pts.get(), &system) < 0) return false;
    if (system.f_type != DEVPTS_SUPER_MAGIC) {
        errno = ENODEV;
        return false;
    }
    open_how how{};
    how.flags = O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK;
    how.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS;
    out.reset(static_cast<int>(::syscall(SYS_openat2, pts.get(), "ptmx", &how, sizeof how)));
    int unlock = 0;
    if (!out || ::ioctl(out.get(), TIOCSPTLCK, &unlock) < 0) return false;
    program.out.reset(::ioctl(out.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    in.reset(::fcntl(out.get(), F_DUPFD_CLOEXEC, 3));
    program.in.reset(::fcntl(program.out.get(), F_DUPFD_CLOEXEC, 3));
    program.err.reset(::fcntl(program.out.get(), F_DUPFD_CLOEXEC, 3));
    return in && program.in && program.err && set_terminal_size(out.get(), size);
}

bool make_pipes(bool with_input, base::UniqueFd& out, base::UniqueFd& err, base::UniqueFd& in, ProgramEnds& program) {
    if (!make_pipe(out, program.out, 0) || !make_pipe(err, program.err, 0)) return false;
    if (with_input && !make_pipe(program.in, in, 0)) return false;
    for (const int fd : {out.get(), err.get(), in.get()}) {
        if (fd < 0) continue;
        (void)::fcntl(fd, F_SETFL, O_NONBLOCK);
        (void)::fcntl(fd, F_SETPIPE_SZ, kPipeBytes);
    }
    return true;
}

}  // namespace

bool set_terminal_size(int terminal, const agent::Terminal& size) {
    const winsize window{.ws_row = static_cast<unsigned short>(size.rows()),
                         .ws_col = static_cast<unsigned short>(size.columns()),
                         .ws_xpixel = 0,
                         .ws_ypixel = 0};
    return ::ioctl(terminal, TIOCSWINSZ, &window) == 0;
}

std::vector<std::string> candidates(const std::string& name, std::string_view path) {
    if (name.find('/') != std::string::npos) return {name};
    std::vector<std::string> paths;
    if (name.empty()) return paths;
    for (;;) {
        const size_t end = path.find(':');
        const std::string_view folder = path.substr(0, end);
        paths.push_back(folder.empty() ? cat({"./", name}) : cat({folder, "/", name}));
        if (end == std::string_view::npos) return paths;
        path.remove_prefix(end + 1);
    }
}

// Everything that the child uses, made before it starts.
struct Launch::Child {
    Program program;
    std::vector<char*> paths;
    std::vector<char*> argv;
    std::vector<char*> environment;
    int in = -1;  // -1: our own
    int out;
    int err;
    int report;
    char work_dir[PATH_MAX];  // what is left of a path that is being made
    char link_target[PATH_MAX];
    std::array<std::byte, kStackBytes> stack;

    static int main(void* child);
    void fail(Stage stage, long error, bool found = false) const;
    long enter_work_dir();
    long make_work_dir();
    bool continue_at_link(size_t size, const char* rest);
    void run();
};

void Launch::Child::fail(Stage stage, long error, bool found) const {
    const Report text{stage, static_cast<int>(-error), found ? 1 : 0};
    raw_syscall(SYS_write, report, address(&text), sizeof text);
    for (;;)
        raw_syscall(SYS_exit_group, 127);
}

// Puts `size` bytes of link_target and what is left of the path, from `rest` on, at the start of work_dir.
bool Launch::Child::continue_at_link(size_t size, const char* rest) {
    const size_t rest_size = std::strlen(rest);
    if (size + 1 + rest_size >= sizeof work_dir) return false;
    std::memmove(work_dir + size + 1, rest, rest_size + 1);
    std::memcpy(work_dir, link_target, size);
    work_dir[size] = '/';
    return true;
}

// Goes down the path name by name and makes what is missing, also what a symbolic link leads to, as Docker does.
long Launch::Child::make_work_dir() {
    constexpr int kMaxLinks = 40;  // the kernel's own limit
    int links = 0;
    std::memcpy(work_dir, program.work_dir.c_str(), std::min(program.work_dir.size() + 1, sizeof work_dir));
    if (program.work_dir.size() >= sizeof work_dir) return -ENAMETOOLONG;
    if (const long error = raw_syscall(SYS_chdir, address("/")); error < 0) return error;
    for (char* name = work_dir; *name != '\0';) {
        char* const end = std::find(name, name + std::strlen(name), '/');
        char* const rest = *end == '/' ? end + 1 : end;
        *end = '\0';
        long error = *name == '\0' ? 0 : raw_syscall(SYS_chdir, address(name));
        if (error == -ENOENT) {
            error = raw_syscall(SYS_mkdir, address(name), 0755);
            if (error == 0) error = raw_syscall(SYS_chdir, address(name));
        }
        if (error == -EEXIST) {  // a link that leads nowhere yet
            const long size = raw_syscall(SYS_readlink, address(name), address(link_target), sizeof link_target);
            if (size <= 0) return -ENOENT;
            if (++links > kMaxLinks) return -ELOOP;
            if (!continue_at_link(static_cast<size_t>(size), rest)) return -ENAMETOOLONG;
            if (work_dir[0] == '/') (void)raw_syscall(SYS_chdir, address("/"));
            name = work_dir;
            continue;
        }
        if (error < 0) return error;
        name = rest;
    }
    return 0;
}

long Launch::Child::enter_work_dir() {
    const long error = raw_syscall(SYS_chdir, address(program.work_dir.data()));
    return error == -ENOENT ? make_work_dir() : error;
}

void Launch::Child::run() {
    const KernelSignals none = 0;
    if (const long error = raw_syscall(SYS_setsid); error < 0) fail(Stage::session, error);
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, address(&none), 0, sizeof none);
    raw_syscall(SYS_setpriority, PRIO_PROCESS, 0, 0);
    raw_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, address(&kOpenFiles));
    // Without input the child has our own stdin.
    if (in >= 0) {
        if (const long error = raw_syscall(SYS_dup2, in, STDIN_FILENO); error < 0) fail(Stage::descriptors, error);
    }
    if (const long error = raw_syscall(SYS_dup2, out, STDOUT_FILENO); error < 0) fail(Stage::descriptors, error);
    if (const long error = raw_syscall(SYS_dup2, err, STDERR_FILENO); error < 0) fail(Stage::descriptors, error);
    if (program.terminal) {
        if (const long error = raw_syscall(SYS_ioctl, STDIN_FILENO, TIOCSCTTY, 0); error < 0) fail(Stage::descriptors, error);
    }
    for (const base::UniqueFd& fd : program.kept)
        raw_syscall(SYS_fcntl, fd.get(), F_SETFD, 0);
    if (const long error = enter_work_dir(); error < 0) fail(Stage::work_dir, error);

    const container::Identity& user = *program.user;
    const long groups = static_cast<long>(user.groups.size());
    if (groups > 0) {
        if (const long error = raw_syscall(SYS_setgroups, groups, address(user.groups.data())); error < 0) fail(Stage::user, error);
    }
    if (const long error = raw_syscall(SYS_setresgid, user.gid, user.gid, user.gid); error < 0) fail(Stage::user, error);
    if (const long error = raw_syscall(SYS_setresuid, user.uid, user.uid, user.uid); error < 0) fail(Stage::user, error);

    // Like execvp: a folder of PATH that cannot be searched or lacks the name is skipped, and a name that may not be executed is reported
    // at the end.
    long result = -ENOENT;
    bool found = false;
    for (size_t i = 0; paths[i] != nullptr; i++) {
        const long error = raw_syscall(SYS_execve, address(paths[i]), address(argv.data()), address(environment.data()));
        const bool exists = raw_syscall(SYS_access, address(paths[i]), F_OK) == 0;
        if (error != -ENOENT && error != -ENOTDIR && error != -EACCES) fail(Stage::program, error, exists);
        if (exists || (error == -EACCES && !found)) {
            result = error;
            found = exists;
        }
    }
    fail(Stage::program, result, found);
}

int Launch::Child::main(void* child) {
    static_cast<Child*>(child)->run();
    return 127;
}

Launch::Launch() = default;
Launch::~Launch() = default;

Result<std::unique_ptr<Launch>> Launch::start(Program program) {
    std::unique_ptr<Launch> launch(new Launch);
    launch->child_ = std::make_unique<Child>();
    Child& child = *launch->child_;
    // The child gets copies of these; its copies stay open when ours are closed.
    ProgramEnds ends;
    base::UniqueFd report;
    const bool made = program.terminal ? make_terminal(*program.terminal, launch->out, launch->in, ends)
                                       : make_pipes(program.input, launch->out, launch->err, launch->in, ends);
    if (!made || !make_pipe(launch->report_, report, O_NONBLOCK)) return failure(errno, {"cannot run ", program.name});
    // So that the program can open them by name: /dev/stdout and what links to it. A terminal's group stays tty.
    for (const int fd : {ends.in.get(), ends.out.get(), ends.err.get()}) {
        if (fd >= 0) (void)::fchown(fd, program.user->uid, program.terminal ? static_cast<gid_t>(-1) : program.user->gid);
    }
    child.in = ends.in.get();
    child.out = ends.out.get();
    child.err = ends.err.get();
    child.report = report.get();
    child.program = std::move(program);
    child.paths = pointers(child.program.candidates);
    child.argv = pointers(child.program.args);
    child.environment = pointers(*child.program.environment);
    launch->pid_ = ::clone(Child::main, child.stack.data() + child.stack.size(), CLONE_VM | SIGCHLD, &child);
    if (launch->pid_ < 0) return failure(errno, {"cannot start a process for ", child.program.name});
    return launch;
}

Status Launch::outcome() {
    Report report{};
    const ssize_t size = ::read(report_.get(), &report, sizeof report);
    if (size < static_cast<ssize_t>(sizeof report)) return {};  // closed by a successful exec, or by the child's death
    const Program& program = child_->program;
    const auto told = [&](Status status, agent::Error::Code code) {
        status.code = code;
        return status;
    };
    switch (report.stage) {
        case Stage::work_dir:
            return told(failure(report.error, {"cannot run ", program.name, ": the working directory ", program.work_dir}),
                        agent::Error::BAD_REQUEST);
        case Stage::program:
            break;
        default:
            return failure(report.error, {"cannot run ", program.name, ": setting up its process failed"});
    }
    if (report.error == ENOENT && report.found != 0)
        return told(failure({"cannot run ", program.name, ": the interpreter that it names is missing"}), agent::Error::NOT_FOUND);
    if (report.error == ENOENT && program.name.find('/') == std::string::npos)
        return told(failure({"cannot run ", program.name, ": no such program in PATH"}), agent::Error::NOT_FOUND);
    const auto code = report.error == ENOENT ? agent::Error::NOT_FOUND : agent::Error::BAD_REQUEST;
    return told(failure(report.error, {"cannot run ", program.name}), code);
}

}  // namespace init
