#include "init/network.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "init/disks.h"
#include "init/netlink.h"
#include "init/path.h"

namespace init {
namespace {

constexpr size_t kMacBytes = 6;
constexpr uint32_t kSmallestIpv6Mtu = 1280;

NetlinkRequest link_request(unsigned index, bool up) {
    ifinfomsg info{};
    info.ifi_family = AF_UNSPEC;
    info.ifi_index = static_cast<int>(index);
    info.ifi_flags = up ? IFF_UP : 0;
    info.ifi_change = up ? IFF_UP : 0;
    return {RTM_NEWLINK, 0, info};
}

uint8_t family_of(const std::string& address) {
    return address.size() == sizeof(in_addr) ? AF_INET : address.size() == sizeof(in6_addr) ? AF_INET6 : AF_UNSPEC;
}

std::string text_of(const std::string& address) {
    char text[INET6_ADDRSTRLEN] = "?";
    if (family_of(address) != AF_UNSPEC) (void)::inet_ntop(family_of(address), address.data(), text, sizeof text);
    return text;
}

struct CardFound {
    unsigned index = 0;
    std::string name;  // the kernel's
};

// All virtio cards by their MAC address as sysfs writes it.
std::map<std::string, CardFound> cards_by_mac() {
    std::map<std::string, CardFound> cards;
    struct if_nameindex* names = ::if_nameindex();
    for (const struct if_nameindex* name = names; name != nullptr && name->if_index != 0; name++) {
        if (::access(cat({"/sys/class/net/", name->if_name, "/device"}).c_str(), F_OK) < 0) continue;  // made by the kernel
        cards[read_line(cat({"/sys/class/net/", name->if_name, "/address"}))] = {name->if_index, name->if_name};
    }
    ::if_freenameindex(names);
    return cards;
}

std::string mac_text(std::string_view mac) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (const char c : mac) {
        const auto byte = static_cast<unsigned char>(c);
        if (!text.empty()) text += ':';
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

Status rename(unsigned index, const std::string& name) {
    NetlinkRequest request = link_request(index, false);
    request.add(IFLA_IFNAME, std::string_view(name.c_str(), name.size() + 1));
    if (const int error = request.send()) return failure(error, {"cannot name a network card ", name});
    return {};
}

unsigned mtu_of(const std::string& card) {
    return static_cast<unsigned>(std::strtoul(read_line(cat({"/sys/class/net/", card, "/mtu"})).c_str(), nullptr, 10));
}

Status set_mtu(unsigned index, const std::string& card, uint32_t mtu) {
    if (mtu_of(card) == mtu) return {};
    NetlinkRequest request = link_request(index, false);
    request.add(IFLA_MTU, mtu);
    if (const int error = request.send()) return failure(error, {"cannot set the MTU of ", card, " to ", std::to_string(mtu)});
    return {};
}

// The kernel turns IPv6 off on a card with an MTU below 1280, as the VPN's has.
Status allow_ipv6(unsigned index, const std::string& card) {
    return mtu_of(card) >= kSmallestIpv6Mtu ? Status{} : set_mtu(index, card, kSmallestIpv6Mtu);
}

Status add_address(unsigned index, const std::string& card, const agent::Address& address) {
    ifaddrmsg info{};
    info.ifa_family = family_of(address.address());
    if (info.ifa_family == AF_INET6) {
        if (Status status = allow_ipv6(index, card); !status.ok()) return status;
    }
    info.ifa_prefixlen = static_cast<uint8_t>(address.prefix());
    info.ifa_index = index;
    info.ifa_flags = info.ifa_family == AF_INET6 ? IFA_F_NODAD : 0;  // usable at once
    NetlinkRequest request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, info);
    request.add(IFA_LOCAL, address.address());
    request.add(IFA_ADDRESS, address.address());
    if (const int error = request.send())
        return failure(error, {"cannot give ", card, " the address ", text_of(address.address()), "/", std::to_string(address.prefix())});
    return {};
}

Status add_route(unsigned index, const std::string& card, const agent::Route& route) {
    rtmsg info{};
    info.rtm_family = family_of(route.destination());
    info.rtm_dst_len = static_cast<uint8_t>(route.prefix());
    info.rtm_table = RT_TABLE_MAIN;
    info.rtm_protocol = RTPROT_STATIC;
    info.rtm_scope = route.gateway().empty() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    info.rtm_type = RTN_UNICAST;
    NetlinkRequest request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, info);
    if (route.prefix() > 0) request.add(RTA_DST, route.destination());
    if (!route.gateway().empty()) request.add(RTA_GATEWAY, route.gateway());
    request.add(RTA_OIF, index);
    if (route.metric() > 0) request.add(RTA_PRIORITY, route.metric());
    if (const int error = request.send())
        return failure(error, {"cannot route ", text_of(route.destination()), "/", std::to_string(route.prefix()), " through ", card});
    return {};
}

Status check(const agent::Network& network) {
    if (!network.mac().empty() && network.mac().size() != kMacBytes) return bad_request({"a MAC address has 6 bytes"});
    for (const agent::Address& address : network.addresses()) {
        if (family_of(address.address()) == AF_UNSPEC || address.prefix() > 8 * address.address().size())
            return bad_request({"a bad address for the card ", network.card()});
    }
    for (const agent::Route& route : network.routes()) {
        const bool same_family = route.gateway().empty() || route.gateway().size() == route.destination().size();
        if (family_of(route.destination()) == AF_UNSPEC || route.prefix() > 8 * route.destination().size() || !same_family)
            return bad_request({"a bad route for the card ", network.card()});
    }
    return {};
}

}  // namespace

Status prepare_cards() {
    if (const int error = link_request(::if_nametoindex("lo"), true).send()) return failure(error, {"cannot turn on the loopback card"});
    constexpr const char* kFirst = "eth0";
    constexpr uint32_t kVpnMtu = 1220;
    const unsigned index = ::if_nametoindex(kFirst);
    return index == 0 ? Status{} : set_mtu(index, kFirst, kVpnMtu);
}

Status name_cards(const google::protobuf::RepeatedPtrField<agent::Card>& cards) {
    std::map<std::string, CardFound> present = cards_by_mac();
    const bool all =
        std::all_of(cards.begin(), cards.end(), [&](const agent::Card& card) { return present.contains(mac_text(card.mac())); });
    if (!all) {
        // A restored VM may have a card that the saved VM lacked.
        if (Status status = bind_slots(); !status.ok()) return status;
        present = cards_by_mac();
    }
    std::vector<std::pair<CardFound, const agent::Card*>> wanted;
    for (const agent::Card& card : cards) {
        auto found = present.extract(mac_text(card.mac()));
        if (found.empty()) return failure({"there is no network card with the address ", mac_text(card.mac())});
        wanted.emplace_back(std::move(found.mapped()), &card);
    }
    for (const auto& [mac, placeholder] : present) {
        if (Status status = unbind("virtio_net", cat({"/sys/class/net/", placeholder.name, "/device"})); !status.ok()) return status;
    }
    // The kernel's own name of one card may be the wanted name of another.
    for (auto& [found, card] : wanted) {
        if (found.name == card->name()) continue;
        found.name = cat({"card", std::to_string(found.index)});
        if (Status status = rename(found.index, found.name); !status.ok()) return status;
    }
    for (const auto& [found, card] : wanted) {
        if (found.name != card->name()) {
            if (Status status = rename(found.index, card->name()); !status.ok()) return status;
        }
        if (card->mtu() == 0) continue;
        if (Status status = set_mtu(found.index, card->name(), card->mtu()); !status.ok()) return status;
    }
    return {};
}

Status configure_card(const agent::Network& network) {
    if (Status status = check(network); !status.ok()) return status;
    const unsigned index = ::if_nametoindex(network.card().c_str());
    if (index == 0) return bad_request({"there is no network card ", network.card()});
    if (!network.mac().empty()) {
        NetlinkRequest request = link_request(index, false);
        request.add(IFLA_ADDRESS, network.mac());
        if (const int error = request.send()) return failure(error, {"cannot set the MAC address of ", network.card()});
    }
    if (const int error = link_request(index, true).send()) return failure(error, {"cannot turn on ", network.card()});
    for (const agent::Address& address : network.addresses()) {
        if (Status status = add_address(index, network.card(), address); !status.ok()) return status;
    }
    for (const agent::Route& route : network.routes()) {
        if (Status status = add_route(index, network.card(), route); !status.ok()) return status;
    }
    return {};
}

agent::Traffic count_traffic() {
    const auto bytes = [](const std::string& card, const char* counter) {
        return std::strtoull(read_line(cat({"/sys/class/net/", card, "/statistics/", counter})).c_str(), nullptr, 10);
    };
    agent::Traffic traffic;
    for (const auto& [mac, card] : cards_by_mac()) {
        traffic.set_received(traffic.received() + bytes(card.name, "rx_bytes"));
        traffic.set_sent(traffic.sent() + bytes(card.name, "tx_bytes"));
    }
    return traffic;
}

}  // namespace init
