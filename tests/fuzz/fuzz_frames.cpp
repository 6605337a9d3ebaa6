// What a VM and the world send to a card under the debugger: a stream of frames, each after its length. Any bytes are filtered within
// bounds: nothing passes to this machine's loopback, and every refusal is a packet.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "dbg/outbound/dns_answer.h"
#include "dbg/outbound/filter.h"
#include "dbg/outbound/frame_splitter.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace dbg::outbound;
    size_t lines = 0;
    const auto say = [&lines](const std::string& line) {
        constexpr size_t kLongest = 800;
        if (line.size() > kLongest || line.find_first_of("\x1b\n\r") != std::string::npos) std::abort();
        lines++;
    };
    Filter filter({.kind = Access::Kind::unrestricted}, say);
    FrameSplitter splitter;
    const auto take = [&filter](Bytes frame) {
        const Filter::Verdict verdict = filter.from_guest(frame);
        const auto packet = parse_packet(frame);
        if (verdict.pass && (!packet || (!packet->is_arp && packet->destination >> 24 == 127))) std::abort();
        if (verdict.answer && !parse_packet({reinterpret_cast<const uint8_t*>(verdict.answer->data()), verdict.answer->size()}))
            std::abort();
        filter.from_world(frame);
    };
    (void)splitter.add({data, size}, take);
    if (parse_dns_answer({data, size}).addresses.size() > kMaxDnsRecords || lines > Filter::kMaxTold + 1) std::abort();
    return 0;
}
