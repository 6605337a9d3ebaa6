#include "exeunit/launch.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"

extern "C" char** environ;  // NOLINT(readability-redundant-declaration)

namespace exeunit {
namespace {

std::pair<base::UniqueFd, base::UniqueFd> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) base::throw_errno("cannot make a pipe");
    return {base::UniqueFd(ends[0]), base::UniqueFd(ends[1])};
}

// Our environment with `added` in the place of what has the same name.
std::vector<std::string> environment_with(const std::vector<std::string>& added) {
    std::vector<std::string> result = added;
    for (char** entry = environ; *entry; entry++) {
        const std::string_view ours = *entry;
        const std::string_view name = ours.substr(0, ours.find('=') + 1);
        if (std::none_of(added.begin(), added.end(), [name](const std::string& a) { return a.starts_with(name); }))
            result.emplace_back(ours);
    }
    return result;
}

}  // namespace

Launched launch(const Launch& how) {
    auto [input_read, input_write] = make_pipe();
    auto [output_read, output_write] = make_pipe();
    base::Command command{
        .argv = how.argv, .environment = environment_with(how.environment), .fds = {{input_read.get(), 0}, {output_write.get(), 1}}};
    if (how.stderr_fd >= 0) command.fds.emplace_back(how.stderr_fd, 2);
    // A relative path means ours, not one below the working directory.
    if (command.argv.at(0).find('/') != std::string::npos) command.argv[0] = std::filesystem::absolute(command.argv[0]).string();
    const std::string folder = how.working_directory.string();
    command.before_exec = [&folder, own_group = how.own_process_group] {
        return ::chdir(folder.c_str()) == 0 && (!own_group || ::setpgid(0, 0) == 0);
    };
    Launched launched;
    launched.child = base::spawn(command);
    launched.input = std::move(input_write);
    launched.output = std::move(output_read);
    return launched;
}

std::optional<int> wait_for(base::Child& child, std::chrono::milliseconds deadline) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    for (;;) {
        pollfd ended{.fd = child.pidfd(), .events = POLLIN, .revents = 0};
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        const int n = ::poll(&ended, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
        if (n > 0) return base::exit_code(child.wait());
        if (n == 0) return std::nullopt;
        if (errno != EINTR) base::throw_errno("cannot wait for a child");
    }
}

}  // namespace exeunit
