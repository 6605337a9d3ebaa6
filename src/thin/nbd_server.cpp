#include "thin/nbd_server.h"

#include <endian.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <list>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/log.h"

namespace thin {
namespace {

// Names and numbers are those of the NetworkBlockDevice project's protocol document. All numbers are big-endian.
constexpr uint64_t kNbdMagic = 0x4e42444d41474943;     // "NBDMAGIC"
constexpr uint64_t kOptionMagic = 0x49484156454f5054;  // "IHAVEOPT"
constexpr uint64_t kOptionReplyMagic = 0x0003e889045565a9;
constexpr uint32_t kRequestMagic = 0x25609513;
constexpr uint32_t kReplyMagic = 0x67446698;

constexpr uint16_t kFixedNewstyle = 1;
constexpr uint16_t kNoZeroes = 2;

enum Option : uint32_t { kExportName = 1, kAbort = 2, kList = 3, kInfo = 6, kGo = 7 };
enum OptionReply : uint32_t { kAck = 1, kServer = 2, kInfoReply = 3, kUnsupported = 0x80000001, kInvalid = 0x80000003 };
constexpr uint16_t kInfoExport = 0;
constexpr uint16_t kInfoBlockSize = 3;

constexpr uint16_t kExportFlags = 1 | 2 | 256;  // flags are there, read-only, several connections see the same

enum Command : uint16_t { kRead = 0, kDisconnect = 2 };
constexpr uint32_t kInvalidArgument = 22;
constexpr uint32_t kNotPermitted = 1;

constexpr uint32_t kLongestRead = 32 << 20;
constexpr uint32_t kLongestOption = 64 << 10;
constexpr uint64_t kAlignment = 4096;
constexpr size_t kMostWaiting = 256;  // requests; a client with more is not read from

void put(std::string& out, uint64_t value, size_t bytes) {
    for (size_t i = bytes; i-- > 0;)
        out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

// The connection has ended, by whichever side.
struct Ended {};

}  // namespace

class NbdServer::State {
public:
    State(uint64_t size, TryRead read, base::UniqueFd socket)
        : socket_(std::move(socket)),
          wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
          inside_(size),
          size_((size + kAlignment - 1) / kAlignment * kAlignment),
          read_(std::move(read)) {
        if (!wake_) base::throw_errno("cannot make an eventfd");
        thread_ = std::thread([this] { serve(); });
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
        (void)::shutdown(socket_.get(), SHUT_RDWR);
        thread_.join();
    }

    void wake() { (void)::eventfd_write(wake_.get(), 1); }

private:
    struct Waiting {
        uint64_t handle;
        uint64_t position;
        size_t size;
    };

    void serve();
    void negotiate();
    bool take_option(uint32_t option, const std::string& data);
    void describe_export(uint32_t option, const std::string& data);
    void take_request();
    bool try_reply(const Waiting& waiting);

    std::string receive(size_t size);
    uint64_t receive_number(size_t bytes);
    void send(std::string_view bytes);
    void send_option_reply(uint32_t option, uint32_t type, std::string_view data = {});
    void send_reply(uint64_t handle, uint32_t error);

    base::UniqueFd socket_;
    base::UniqueFd wake_;
    uint64_t inside_;  // of the disk
    uint64_t size_;    // of the export
    TryRead read_;
    std::list<Waiting> waiting_;
    std::vector<std::byte> buffer_;  // of a reply
    std::thread thread_;
};

std::string NbdServer::State::receive(size_t size) {
    std::string bytes(size, '\0');
    for (size_t done = 0; done < size;) {
        const ssize_t n = ::recv(socket_.get(), bytes.data() + done, size - done, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) throw Ended();
        done += static_cast<size_t>(n);
    }
    return bytes;
}

uint64_t NbdServer::State::receive_number(size_t bytes) {
    uint64_t value = 0;
    for (const char byte : receive(bytes))
        value = value << 8 | static_cast<unsigned char>(byte);
    return value;
}

void NbdServer::State::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) throw Ended();
        bytes.remove_prefix(static_cast<size_t>(n));
    }
}

void NbdServer::State::send_option_reply(uint32_t option, uint32_t type, std::string_view data) {
    std::string reply;
    put(reply, kOptionReplyMagic, 8);
    put(reply, option, 4);
    put(reply, type, 4);
    put(reply, data.size(), 4);
    reply += data;
    send(reply);
}

void NbdServer::State::send_reply(uint64_t handle, uint32_t error) {
    std::string reply;
    put(reply, kReplyMagic, 4);
    put(reply, error, 4);
    put(reply, handle, 8);
    send(reply);
}

void NbdServer::State::negotiate() {
    std::string greeting;
    put(greeting, kNbdMagic, 8);
    put(greeting, kOptionMagic, 8);
    put(greeting, kFixedNewstyle | kNoZeroes, 2);
    send(greeting);
    const uint64_t flags = receive_number(4);
    for (;;) {
        if (receive_number(8) != kOptionMagic) throw Ended();
        const auto option = static_cast<uint32_t>(receive_number(4));
        const uint64_t length = receive_number(4);
        if (length > kLongestOption) throw Ended();
        const std::string data = receive(length);
        if (option == kExportName) {
            std::string answer;
            put(answer, size_, 8);
            put(answer, kExportFlags, 2);
            if ((flags & kNoZeroes) == 0) answer.append(124, '\0');
            send(answer);
            return;
        }
        if (take_option(option, data)) return;
    }
}

// Returns whether the transmission phase begins.
bool NbdServer::State::take_option(uint32_t option, const std::string& data) {
    switch (option) {
        case kAbort:
            send_option_reply(option, kAck);
            throw Ended();
        case kList:
            send_option_reply(option, kServer, std::string(4, '\0'));  // one export, whose name is empty
            send_option_reply(option, kAck);
            return false;
        case kInfo:
        case kGo:
            if (data.size() < 6) {
                send_option_reply(option, kInvalid);
                return false;
            }
            describe_export(option, data);
            return option == kGo;
        default:
            send_option_reply(option, kUnsupported);
            return false;
    }
}

// Any name means the one export.
void NbdServer::State::describe_export(uint32_t option, const std::string& data) {
    std::string info;
    put(info, kInfoExport, 2);
    put(info, size_, 8);
    put(info, kExportFlags, 2);
    send_option_reply(option, kInfoReply, info);
    // The requested kinds of information are the 16-bit numbers at the end.
    bool sizes = false;
    uint64_t name = 0;
    for (size_t i = 0; i < 4; i++)
        name = name << 8 | static_cast<unsigned char>(data[i]);
    for (size_t i = 4 + name + 2; i + 1 < data.size(); i += 2)
        sizes = sizes || (data[i] == 0 && data[i + 1] == kInfoBlockSize);
    if (sizes) {
        info.clear();
        put(info, kInfoBlockSize, 2);
        put(info, 1, 4);
        put(info, kAlignment, 4);
        put(info, kLongestRead, 4);
        send_option_reply(option, kInfoReply, info);
    }
    send_option_reply(option, kAck);
}

void NbdServer::State::take_request() {
    if (receive_number(4) != kRequestMagic) throw Ended();
    (void)receive_number(2);  // flags: FUA and the like say nothing of reads
    const auto type = static_cast<uint16_t>(receive_number(2));
    const uint64_t handle = receive_number(8);
    const uint64_t position = receive_number(8);
    const uint64_t length = receive_number(4);
    if (type == kDisconnect) throw Ended();
    if (type == 1) throw Ended();  // a write, whose data follow, though the export is read-only
    if (type != kRead) return send_reply(handle, kNotPermitted);
    if (length == 0 || length > kLongestRead || position > size_ || length > size_ - position) return send_reply(handle, kInvalidArgument);
    const Waiting waiting{handle, position, static_cast<size_t>(length)};
    if (!try_reply(waiting)) waiting_.push_back(waiting);
}

bool NbdServer::State::try_reply(const Waiting& waiting) {
    const auto inside = static_cast<size_t>(std::min<uint64_t>(waiting.size, inside_ - std::min(inside_, waiting.position)));
    buffer_.assign(waiting.size, std::byte{0});
    if (inside > 0 && !read_(waiting.position, std::span(buffer_).first(inside))) return false;
    send_reply(waiting.handle, 0);
    send({reinterpret_cast<const char*>(buffer_.data()), buffer_.size()});
    return true;
}

void NbdServer::State::serve() {
    try {
        negotiate();
        for (;;) {
            const short wanted = waiting_.size() < kMostWaiting ? POLLIN : 0;
            pollfd ready[2] = {{socket_.get(), wanted, 0}, {wake_.get(), POLLIN, 0}};
            if (::poll(ready, 2, -1) < 0 && errno != EINTR) throw Ended();
            if (ready[1].revents != 0) {
                eventfd_t count = 0;
                (void)::eventfd_read(wake_.get(), &count);
                std::erase_if(waiting_, [this](const Waiting& waiting) { return try_reply(waiting); });
            }
            if ((ready[0].revents & POLLIN) != 0)
                take_request();
            else if (ready[0].revents != 0)
                throw Ended();
        }
    } catch (const Ended&) {
    } catch (const std::exception& e) {
        spdlog::error("the image's NBD server ended: {}", e.what());
    }
    (void)::shutdown(socket_.get(), SHUT_RDWR);
}

NbdServer::NbdServer(uint64_t size, TryRead read, base::UniqueFd socket)
    : state_(std::make_unique<State>(size, std::move(read), std::move(socket))) {}
NbdServer::~NbdServer() = default;

void NbdServer::wake() {
    state_->wake();
}

}  // namespace thin
