#include "exeunit/launch.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"

namespace exeunit {
namespace {

// Our environment, with `added` replacing variables of the same name.
std::vector<std::string> environment_with(const std::vector<std::string>& added) {
    std::vector<std::string> result = added;
    for (const std::string& ours : base::own_environment()) {
        const std::string name = ours.substr(0, ours.find('=') + 1);
        if (std::none_of(added.begin(), added.end(), [&name](const std::string& a) { return a.starts_with(name); })) result.push_back(ours);
    }
    return result;
}

}  // namespace

Launched launch(const Launch& how) {
    auto [input_read, input_write] = base::make_pipe();
    auto [output_read, output_write] = base::make_pipe();
    base::Command command{
        .argv = how.argv, .environment = environment_with(how.environment), .fds = {{input_read.get(), 0}, {output_write.get(), 1}}};
    if (how.stderr_fd >= 0) command.fds.emplace_back(how.stderr_fd, 2);
    // A relative path is relative to our working directory, not to the child's.
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
