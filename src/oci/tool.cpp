#include "oci/tool.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/fd.h"
#include "base/subprocess.h"
#include "base/untrusted_text.h"

namespace oci {
namespace {

std::string content(int fd, size_t limit, bool last) {
    struct stat status {};
    if (::fstat(fd, &status) < 0) base::throw_errno("cannot examine a file in memory");
    const auto size = static_cast<size_t>(status.st_size);
    std::string text(std::min(size, limit), '\0');
    const size_t start = last ? size - text.size() : 0;
    text.resize(base::pread_full(fd, std::as_writable_bytes(std::span(text)), start, "a file in memory"));
    return text;
}

}  // namespace

ToolOutput run_tool(const std::vector<std::string>& argv, const std::function<void()>& wait) {
    constexpr int kIntervalMs = 200;
    constexpr size_t kMaxOutput = size_t{16} << 20;
    constexpr size_t kMaxErrors = size_t{64} << 10;
    const base::UniqueFd output = base::memory_file("output");
    const base::UniqueFd errors = base::memory_file("errors");
    base::Command command{.argv = argv, .environment = base::own_environment(), .fds = {{output.get(), 1}, {errors.get(), 2}}};
    base::Child child = base::spawn(command);
    for (pollfd ended{child.pidfd(), POLLIN, 0}; ended.revents == 0;) {
        if (::poll(&ended, 1, kIntervalMs) < 0 && errno != EINTR) base::throw_errno("cannot wait for ", argv[0]);
        if (wait && ended.revents == 0) wait();
    }
    ToolOutput result;
    result.code = base::exit_code(child.wait());
    result.output = content(output.get(), kMaxOutput, false);
    result.errors = content(errors.get(), kMaxErrors, true);
    return result;
}

std::string last_words(const std::string& errors) {
    size_t end = errors.find_last_not_of(" \r\n\t");
    if (end == std::string::npos) return "it gave no reason";
    const size_t start = errors.rfind('\n', end);
    std::string line = errors.substr(start == std::string::npos ? 0 : start + 1, end - (start == std::string::npos ? 0 : start + 1) + 1);
    // logrus: time="…" level=fatal msg="…", with the quotes inside escaped
    const size_t message = line.find("msg=\"");
    if (message != std::string::npos) {
        std::string text;
        for (size_t i = message + 5; i < line.size() && line[i] != '"'; i++) {
            if (line[i] == '\\' && i + 1 < line.size()) i++;
            text.push_back(line[i]);
        }
        line = text;
    }
    constexpr size_t kLongest = 600;
    return base::escape(line.substr(0, kLongest));
}

}  // namespace oci
