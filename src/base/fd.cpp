#include "base/fd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/error.h"

namespace base {
namespace {

// read or pread until the buffer is full; `once(data, size, done)` is one call.
template <typename Once>
size_t fill(std::span<std::byte> buffer, const std::string& name, Once once) {
    size_t done = 0;
    while (done < buffer.size()) {
        const ssize_t n = once(buffer.data() + done, buffer.size() - done, done);
        if (n == 0) break;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot read ", name);
        done += static_cast<size_t>(n);
    }
    return done;
}

}  // namespace

UniqueFd open_file(const std::filesystem::path& path, int flags, mode_t mode) {
    UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (!fd) throw_errno("cannot open ", path);
    return fd;
}

void write_all(int fd, std::span<const std::byte> data, const std::string& name) {
    while (!data.empty()) {
        const ssize_t n = ::write(fd, data.data(), data.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot write ", name);
        data = data.subspan(static_cast<size_t>(n));
    }
}

void write_all(int fd, std::string_view text, const std::string& name) {
    write_all(fd, std::as_bytes(std::span(text)), name);
}

size_t read_full(int fd, std::span<std::byte> buffer, const std::string& name) {
    return fill(buffer, name, [fd](void* data, size_t size, size_t) { return ::read(fd, data, size); });
}

size_t pread_full(int fd, std::span<std::byte> buffer, uint64_t offset, const std::string& name) {
    return fill(buffer, name,
                [fd, offset](void* data, size_t size, size_t done) { return ::pread(fd, data, size, static_cast<off_t>(offset + done)); });
}

std::string read_file(const std::filesystem::path& path, size_t limit) {
    const UniqueFd fd = open_file(path, O_RDONLY);
    std::string text;
    char block[65536];
    while (const size_t n = read_full(fd.get(), std::as_writable_bytes(std::span(block)), path.string())) {
        if (text.size() + n > limit) throw Error(path.string() + ": longer than " + std::to_string(limit) + " bytes");
        text.append(block, n);
    }
    return text;
}

std::string read_file_if_any(const std::filesystem::path& path, size_t limit) {
    try {
        return read_file(path, limit);
    } catch (const Error&) {
        return {};
    }
}

std::pair<UniqueFd, UniqueFd> socket_pair() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) throw_errno("cannot make a socket pair");
    return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

UniqueFd copy_of(const UniqueFd& fd, int lowest) {
    UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, lowest));
    if (!copy) throw_errno("cannot copy a descriptor");
    return copy;
}

std::pair<UniqueFd, UniqueFd> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) throw_errno("cannot make a pipe");
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

UniqueFd memory_file(const char* name) {
    UniqueFd fd(::memfd_create(name, MFD_CLOEXEC));
    if (!fd) throw_errno("cannot make a file in memory");
    return fd;
}

}  // namespace base
