#include "init/path.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace init {
namespace {

constexpr int kMaxLinks = 40;  // the kernel's own limit

// Pushes the components of `path` onto `stack`, the first one last.
void push_components(std::vector<std::string>& stack, std::string_view path) {
    std::vector<std::string> parts;
    while (!path.empty()) {
        const size_t end = std::min(path.find('/'), path.size());
        if (end > 0) parts.emplace_back(path.substr(0, end));
        path.remove_prefix(std::min(end + 1, path.size()));
    }
    stack.insert(stack.end(), parts.rbegin(), parts.rend());
}

std::string joined(const std::vector<std::string>& parts) {
    std::string path;
    for (const std::string& part : parts) {
        if (!path.empty()) path += '/';
        path += part;
    }
    return path.empty() ? "." : path;
}

}  // namespace

Result<std::string> resolve(int root, std::string_view path) {
    std::vector<std::string> done;
    std::vector<std::string> todo;
    push_components(todo, path);
    int links = 0;
    while (!todo.empty()) {
        std::string part = std::move(todo.back());
        todo.pop_back();
        if (part == ".") continue;
        if (part == "..") {
            if (!done.empty()) done.pop_back();
            continue;
        }
        done.push_back(std::move(part));
        char target[PATH_MAX];
        const ssize_t size = ::readlinkat(root, joined(done).c_str(), target, sizeof target);
        if (size < 0 && errno != EINVAL && errno != ENOENT) return failure(errno, {"cannot look up ", path});
        if (size < 0) continue;
        if (++links > kMaxLinks) return failure(ELOOP, {"cannot look up ", path});
        if (target[0] == '/')
            done.clear();
        else
            done.pop_back();
        push_components(todo, {target, static_cast<size_t>(size)});
    }
    return joined(done);
}

Result<base::UniqueFd> make_directory(int root, std::string_view path) {
    const Result<std::string> resolved = resolve(root, path);
    if (!resolved.ok()) return resolved.status;
    const std::string& real = resolved.value;
    for (size_t end = real.find('/'); real != "."; end = real.find('/', end + 1)) {
        if (::mkdirat(root, real.substr(0, end).c_str(), 0755) < 0 && errno != EEXIST)
            return failure(errno, {"cannot make the directory ", path});
        if (end == std::string::npos) break;
    }
    base::UniqueFd fd(::openat(root, real.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return failure(errno, {"cannot open the directory ", path});
    return fd;
}

Opened open_inside(int root, const std::string& path, int flags) {
    struct open_how how {};
    how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    const long fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
    if (fd < 0) return {base::UniqueFd(), errno};
    return {base::UniqueFd(static_cast<int>(fd)), 0};
}

std::string read_inside(int root, const std::string& path, size_t limit) {
    const Opened file = open_inside(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct stat st {};
    if (!file.fd || ::fstat(file.fd.get(), &st) < 0 || !S_ISREG(st.st_mode)) return "";
    std::string text(std::min(limit, static_cast<size_t>(st.st_size)), '\0');
    size_t done = 0;
    while (done < text.size()) {
        const ssize_t n = ::read(file.fd.get(), text.data() + done, text.size() - done);
        if (n <= 0) break;
        done += static_cast<size_t>(n);
    }
    text.resize(done);
    return text;
}

std::string read_text(const std::string& path) {
    const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    char text[4096];
    const ssize_t size = fd ? ::read(fd.get(), text, sizeof text) : -1;
    return size <= 0 ? "" : std::string(text, static_cast<size_t>(size));
}

std::string read_line(const std::string& path) {
    const std::string text = read_text(path);
    return text.substr(0, text.find('\n'));
}

std::vector<std::string> names_in(const std::string& folder) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(folder.c_str()), ::closedir);
    if (!directory) return names;
    while (const dirent* entry = ::readdir(directory.get())) {
        if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    }
    return names;
}

int write_value(const std::string& path, std::string_view value) {
    const base::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    return fd && ::write(fd.get(), value.data(), value.size()) >= 0 ? 0 : errno;
}

}  // namespace init
