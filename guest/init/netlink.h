#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <string_view>

#include "base/fd.h"

namespace init {

// One request to the kernel's routing socket, built up in place.
class NetlinkRequest {
public:
    // `header` is the family's fixed part (ifinfomsg, ifaddrmsg, rtmsg).
    template <typename Header>
    NetlinkRequest(uint16_t type, uint16_t flags, const Header& header) : NetlinkRequest(type, flags, &header, sizeof header) {}

    void add(uint16_t attribute, std::string_view value);
    void add(uint16_t attribute, uint32_t value);

    // Sends it and waits for the kernel's answer: 0 or an errno.
    int send();

private:
    NetlinkRequest(uint16_t type, uint16_t flags, const void* header, size_t size);
    void append(const void* data, size_t size);

    alignas(nlmsghdr) char buffer_[1024] = {};
    uint32_t size_ = sizeof(nlmsghdr);
};

}  // namespace init
