#include "init/netlink.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace init {

NetlinkRequest::NetlinkRequest(uint16_t type, uint16_t flags, const void* header, size_t size) {
    auto* message = reinterpret_cast<nlmsghdr*>(buffer_);
    message->nlmsg_type = type;
    message->nlmsg_flags = static_cast<uint16_t>(flags | NLM_F_REQUEST | NLM_F_ACK);
    append(header, size);
}

void NetlinkRequest::append(const void* data, size_t size) {
    const size_t room = sizeof buffer_ - size_;
    if (size > room) return;  // no caller comes near it; the kernel refuses a truncated request
    std::memcpy(buffer_ + size_, data, size);
    size_ += NLMSG_ALIGN(static_cast<uint32_t>(size));
}

void NetlinkRequest::add(uint16_t attribute, std::string_view value) {
    const rtattr header{static_cast<uint16_t>(RTA_LENGTH(value.size())), attribute};
    append(&header, sizeof header);
    append(value.data(), value.size());
}

void NetlinkRequest::add(uint16_t attribute, uint32_t value) {
    add(attribute, std::string_view(reinterpret_cast<const char*>(&value), sizeof value));
}

int NetlinkRequest::send() {
    const base::UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    reinterpret_cast<nlmsghdr*>(buffer_)->nlmsg_len = size_;
    if (!fd || ::send(fd.get(), buffer_, size_, 0) < 0) return errno;
    alignas(nlmsghdr) char answer[4096];
    const ssize_t size = ::recv(fd.get(), answer, sizeof answer, 0);
    if (size < 0) return errno;
    const auto* message = reinterpret_cast<const nlmsghdr*>(answer);
    if (static_cast<size_t>(size) < NLMSG_LENGTH(sizeof(nlmsgerr)) || message->nlmsg_type != NLMSG_ERROR) return EPROTO;
    return -static_cast<const nlmsgerr*>(NLMSG_DATA(message))->error;
}

}  // namespace init
