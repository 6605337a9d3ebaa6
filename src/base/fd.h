#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace base {

// An open file descriptor, closed by the destructor; -1 is none. Header-only and without exceptions, for the guest's program too.
class UniqueFd {
public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        reset(std::exchange(other.fd_, -1));
        return *this;
    }
    UniqueFd(const UniqueFd&) = delete;
    UniqueFd& operator=(const UniqueFd&) = delete;
    ~UniqueFd() { reset(); }

    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release() { return std::exchange(fd_, -1); }
    void reset(int fd = -1) {
        if (fd_ >= 0) ::close(fd_);
        fd_ = fd;
    }

private:
    int fd_ = -1;
};

// Opens with O_CLOEXEC. Throws SystemError ("cannot open PATH: …").
UniqueFd open_file(const std::filesystem::path& path, int flags, mode_t mode = 0644);

// Writes all of it, over short writes and EINTR. Throws SystemError; `name` is the file's, for the message.
void write_all(int fd, std::span<const std::byte> data, const std::string& name);
void write_all(int fd, std::string_view text, const std::string& name);

// Reads until the buffer is full or the file ends; returns the number of bytes. Throws SystemError.
size_t read_full(int fd, std::span<std::byte> buffer, const std::string& name);
size_t pread_full(int fd, std::span<std::byte> buffer, uint64_t offset, const std::string& name);

// Reads a file of at most `limit` bytes. Throws Error when it is longer or cannot be read.
std::string read_file(const std::filesystem::path& path, size_t limit);
// Like read_file, but empty in those cases.
std::string read_file_if_any(const std::filesystem::path& path, size_t limit);

// Connected stream sockets (AF_UNIX, close-on-exec). Throws SystemError.
std::pair<UniqueFd, UniqueFd> socket_pair();

// A pipe, close-on-exec: first the end to read from, then the end to write to. Throws SystemError.
std::pair<UniqueFd, UniqueFd> make_pipe();

// Another descriptor of the same open file, close-on-exec, by a number from `lowest` on. Throws SystemError.
UniqueFd copy_of(const UniqueFd& fd, int lowest = 3);
// A `lowest` for descriptors that a child uses before its exec: above the numbers that its own descriptors get.
constexpr int kBeyondChildren = 256;

// An empty file in memory (memfd), close-on-exec; `name` shows in /proc alone. Throws SystemError.
UniqueFd memory_file(const char* name);

}  // namespace base
