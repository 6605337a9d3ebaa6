#include "dbg/outbound/filter.h"

#include <algorithm>
#include <array>
#include <utility>

#include "dbg/outbound/dns_answer.h"

namespace dbg::outbound {
namespace {

constexpr uint16_t kDnsPort = 53;
// Those that the exe-unit lets through besides what a manifest lists: of Google, Cloudflare and Quad9.
constexpr std::array<uint32_t, 6> kNameServers = {0x08080808, 0x08080404, 0x01010101, 0x01000001, 0x09090909, 0x95707070};

bool is_name_server(const Packet& packet, uint32_t address, uint16_t port) {
    return packet.protocol == Protocol::udp && port == kDnsPort &&
           std::find(kNameServers.begin(), kNameServers.end(), address) != kNameServers.end();
}

// This machine's loopback, the card's own network, and those that are no single machine's.
bool is_outside(uint32_t address) {
    const uint32_t network = address >> 24;
    return network != 0 && network != 127 && network < 224 && address >> 8 != kGatewayAddress >> 8;
}

}  // namespace

Filter::Filter(Access access, std::function<void(const std::string& line)> say) : access_(std::move(access)), say_(std::move(say)) {}

Filter::Verdict Filter::from_guest(Bytes frame) {
    const std::optional<Packet> packet = parse_packet(frame);
    if (!packet || packet->source != kGuestAddress) return {};
    if (packet->is_arp) return {.pass = packet->destination == kGatewayAddress};
    const Target target{packet->protocol, packet->destination, packet->destination_port};
    if (!is_outside(target.address)) return stop(frame, *packet);
    if (is_name_server(*packet, target.address, target.port)) return {.pass = true};
    const bool allowed = access_.kind == Access::Kind::all ||
                         (access_.kind == Access::Kind::unrestricted && target.protocol != Protocol::icmp) ||
                         access_.targets.contains(target);
    if (!allowed) return stop(frame, *packet);
    note_reached(target);
    return {.pass = true};
}

void Filter::from_world(Bytes frame) {
    const std::optional<Packet> packet = parse_packet(frame);
    if (!packet || packet->is_arp || !is_name_server(*packet, packet->source, packet->source_port)) return;
    const DnsAnswer answer = parse_dns_answer(packet->payload);
    for (const uint32_t address : answer.addresses) {
        if (names_.size() < kMaxNames || names_.contains(address)) names_[address] = answer.name;
    }
}

Filter::Verdict Filter::stop(Bytes frame, const Packet& packet) {
    tell({packet.protocol, packet.destination, packet.destination_port});
    return {.pass = false, .answer = refusal(frame, packet)};
}

std::string Filter::name_of_address(uint32_t address) const {
    const auto found = names_.find(address);
    return found == names_.end() ? std::string() : found->second;
}

void Filter::note_reached(const Target& target) {
    if (target.protocol == Protocol::icmp || noted_.size() >= kMaxReached || !noted_.insert(target).second) return;
    const std::string name = name_of_address(target.address);
    reached_.insert(url_of({target.protocol, name.empty() ? address_text(target.address) : name, target.port}));
}

void Filter::tell(const Target& target) {
    if (told_.size() >= kMaxTold || !told_.insert(target).second) return;
    std::string line = std::string("blocked: ") + name_of(target.protocol) + " " + address_text(target.address);
    if (target.protocol != Protocol::icmp) line += ":" + std::to_string(target.port);
    const std::string name = name_of_address(target.address);
    line += name.empty() ? ", not asked for by a name" : ", asked for as " + name;
    say_(line + ": " + reason(target));
    if (told_.size() == kMaxTold) say_("blocked: these are " + std::to_string(kMaxTold) + ", no more are named");
}

std::string Filter::reason(const Target& target) const {
    if (!is_outside(target.address)) return "it is no address outside of the VM and this machine";
    if (target.protocol == Protocol::icmp) return "a provider passes TCP and UDP alone";
    const std::string name = name_of_address(target.address);
    const Named named{target.protocol, name.empty() ? address_text(target.address) : name, target.port};
    if (access_.named.contains(named)) return "the manifest has it, but at the start it had other addresses, which alone a provider passes";
    std::string command = "add it by `gvmi manifest add-outbound " + url_of(named) + "`";
    if (target.protocol == Protocol::udp && target.port == kDnsPort)
        return "not one of the name servers that a provider passes; " + command;
    return command;
}

}  // namespace dbg::outbound
