#include "init/shutdown.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "init/status.h"

namespace init {
namespace {

constexpr unsigned kKillMs = 1000;   // for processes to die after SIGKILL
constexpr unsigned kWriteMs = 2000;  // for the file systems; the host waits five seconds in all

// mountinfo writes blanks, tabs, newlines and backslashes as three octal digits.
std::string unescaped(std::string_view text) {
    std::string result;
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] == '\\' && i + 3 < text.size()) {
            result += static_cast<char>((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 | (text[i + 3] - '0'));
            i += 3;
        } else {
            result += text[i];
        }
    }
    return result;
}

// Mount points in the order of mounting.
std::vector<std::string> mount_points() {
    std::vector<std::string> points;
    std::FILE* file = std::fopen("/proc/self/mountinfo", "re");
    if (file == nullptr) return points;
    char* line = nullptr;
    size_t size = 0;
    while (::getline(&line, &size, file) > 0) {
        std::string_view rest(line);
        for (int field = 0; field < 4; field++)  // id, parent, device, root
            rest.remove_prefix(std::min(rest.find(' ') + 1, rest.size()));
        points.push_back(unescaped(rest.substr(0, rest.find(' '))));
    }
    std::free(line);  // NOLINT(cppcoreguidelines-no-malloc): getline's
    (void)std::fclose(file);
    return points;
}

// In a child process, since any of this may hang.
[[noreturn]] void write_back() {
    ::sync();
    const std::vector<std::string> points = mount_points();
    for (auto point = points.rbegin(); point != points.rend(); ++point) {
        if (*point == "/" || *point == "/proc") continue;
        if (::umount2(point->c_str(), UMOUNT_NOFOLLOW) < 0)
            (void)::mount(nullptr, point->c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr);
    }
    ::sync();
    ::_exit(0);
}

}  // namespace

Shutdown::Shutdown(unsigned grace_ms) : timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
    if (!timer_) fatal("cannot make a timer");
    (void)::kill(-1, SIGTERM);
    (void)::kill(-1, SIGCONT);  // a stopped process would not get the SIGTERM
    set_timer(grace_ms);
}

void Shutdown::set_timer(unsigned ms) {
    itimerspec time{};
    time.it_value.tv_sec = ms / 1000;
    time.it_value.tv_nsec = static_cast<long>(ms % 1000) * 1'000'000 + 1;  // 0 would turn it off
    (void)::timerfd_settime(timer_.get(), 0, &time, nullptr);
}

// Begins a step.
bool Shutdown::next(Step step) {
    step_ = step;
    if (step == Step::killing) {
        (void)::kill(-1, SIGKILL);
        set_timer(kKillMs);
    } else if (step == Step::writing) {
        const pid_t pid = ::fork();
        if (pid == 0) write_back();
        set_timer(kWriteMs);
    }
    return step == Step::done;
}

bool Shutdown::timeout() {
    uint64_t count = 0;
    if (::read(timer_.get(), &count, sizeof count) < 0) return false;
    switch (step_) {
        case Step::terminating:
            return next(Step::killing);
        case Step::killing:
            return next(Step::writing);
        case Step::writing:
            return next(Step::done);
        case Step::done:
            break;
    }
    return false;
}

bool Shutdown::reaped(bool children_left) {
    if (children_left || step_ == Step::done) return false;
    return next(step_ == Step::writing ? Step::done : Step::writing);
}

}  // namespace init
