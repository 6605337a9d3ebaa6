#include "init/network.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>

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

// All cards by their MAC address as sysfs writes it.
std::map<std::string, unsigned> cards_by_mac() {
    std::map<std::string, unsigned> cards;
    struct if_nameindex* names = ::if_nameindex();
    for (const struct if_nameindex* name = names; name != nullptr && name->if_index != 0; name++)
        cards[read_line(cat({"/sys/class/net/", name->if_name, "/address"}))] = name->if_index;
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

// The kernel turns IPv6 off on a card with a smaller MTU, as the VPN's has it.
Status allow_ipv6(unsigned index, const std::string& card) {
    if (std::strtoul(read_line(cat({"/sys/class/net/", card, "/mtu"})).c_str(), nullptr, 10) >= kSmallestIpv6Mtu) return {};
    NetlinkRequest request = link_request(index, false);
    request.add(IFLA_MTU, kSmallestIpv6Mtu);
    if (const int error = request.send()) return failure(error, {"cannot set the MTU of ", card, " for IPv6"});
    return {};
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

Status name_cards(const google::protobuf::RepeatedPtrField<agent::Card>& cards) {
    if (const int error = link_request(::if_nametoindex("lo"), true).send()) return failure(error, {"cannot turn on the loopback card"});
    const std::map<std::string, unsigned> present = cards_by_mac();
    std::map<unsigned, const agent::Card*> wanted;
    for (const agent::Card& card : cards) {
        const auto found = present.find(mac_text(card.mac()));
        if (found == present.end()) return failure({"there is no network card with the address ", mac_text(card.mac())});
        wanted[found->second] = &card;
    }
    // The kernel's own name of one may be the name that another shall have.
    for (const auto& [index, card] : wanted) {
        if (Status status = rename(index, cat({"card", std::to_string(index)})); !status.ok()) return status;
    }
    for (const auto& [index, card] : wanted) {
        if (Status status = rename(index, card->name()); !status.ok()) return status;
        if (card->mtu() == 0) continue;
        NetlinkRequest request = link_request(index, false);
        request.add(IFLA_MTU, card->mtu());
        if (const int error = request.send()) return failure(error, {"cannot set the MTU of ", card->name()});
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

}  // namespace init
