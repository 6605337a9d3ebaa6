#include "init/port.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "init/path.h"

namespace init {
namespace {

constexpr const char* kPorts = "/sys/class/virtio-ports";
constexpr const char* kName = "agent";
// The driver hands out one page per read, so a small buffer does.
constexpr size_t kReadBytes = 16 << 10;
constexpr size_t kSmallestWrite = 512;

std::string find_port() {
    std::string node;
    DIR* directory = ::opendir(kPorts);
    if (directory == nullptr) return node;
    while (const dirent* entry = ::readdir(directory)) {
        if (read_line(cat({kPorts, "/", entry->d_name, "/name"})) == kName) node = cat({"/dev/", entry->d_name});
    }
    ::closedir(directory);
    return node;
}

}  // namespace

Port::Port() {
    const std::string node = find_port();
    if (node.empty()) fatal("there is no virtio-serial port named \"agent\"");
    fd_.reset(::open(node.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    if (!fd_) fatal(cat({"cannot open the agent port ", node, ": ", ::strerrordesc_np(errno)}));
}

// How much of it the port took: 0 when it is full.
size_t Port::write_some(const char* data, size_t size) {
    size_t piece = size;
    for (;;) {
        const ssize_t n = ::write(fd_.get(), data, piece);
        if (n >= 0) return static_cast<size_t>(n);
        if (errno == EINTR) continue;
        if (errno == EAGAIN) return 0;
        // The driver needs physically contiguous memory for the whole piece; where there is none, a smaller piece succeeds.
        if (errno == ENOMEM && piece > kSmallestWrite) {
            piece /= 2;
            continue;
        }
        fatal(cat({"the agent port failed: ", ::strerrordesc_np(errno)}));
    }
}

void Port::send(const char* frame, size_t size) {
    size_t sent = 0;
    while (pending_.empty() && sent < size) {
        const size_t n = write_some(frame + sent, size - sent);
        if (n == 0) break;
        sent += n;
    }
    pending_.append(frame + sent, size - sent);
}

void Port::send(const agent::Message& message) {
    std::string frame;
    agent::append_frame(frame, message);
    send(frame.data(), frame.size());
}

void Port::flush() {
    size_t sent = 0;
    while (sent < pending_.size()) {
        const size_t n = write_some(pending_.data() + sent, pending_.size() - sent);
        if (n == 0) break;
        sent += n;
    }
    pending_.erase(0, sent);
}

bool Port::read_some() {
    const std::span<char> space = decoder_.prepare(kReadBytes);
    const ssize_t n = ::read(fd_.get(), space.data(), space.size());
    if (n < 0 && errno != EAGAIN && errno != EINTR) fatal(cat({"the agent port failed: ", ::strerrordesc_np(errno)}));
    // The host's end is closed. The next host starts with a complete request.
    if (n == 0) decoder_ = agent::FrameDecoder(agent::kMaxRequestBytes);
    if (n <= 0) return n < 0 && errno == EINTR;
    decoder_.commit(static_cast<size_t>(n));
    return true;
}

bool Port::next(agent::Request& request) {
    std::string_view payload;
    switch (decoder_.next(payload)) {
        case agent::FrameDecoder::Found::incomplete:
            return false;
        case agent::FrameDecoder::Found::too_long:
            fatal("the host sent a request longer than 4 MiB");
        case agent::FrameDecoder::Found::frame:
            break;
    }
    if (!request.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) fatal("the host sent a request that cannot be decoded");
    return true;
}

}  // namespace init
