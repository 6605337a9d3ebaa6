#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "dbg/outbound/access.h"
#include "dbg/outbound/packet.h"

namespace dbg::outbound {

// Decides about the frames between a VM and the world, and remembers what it must tell. Its memory is bounded whatever the VM sends.
class Filter {
public:
    // `say` gets one line for each target that is stopped, at its first packet; at most kMaxTold.
    Filter(Access access, std::function<void(const std::string& line)> say);

    static constexpr size_t kMaxTold = 256;
    static constexpr size_t kMaxReached = 1024;
    static constexpr size_t kMaxNames = 4096;

    struct Verdict {
        bool pass = false;
        std::optional<std::string> answer = {};  // a frame for the VM: TCP is refused, so that its program fails at once
    };
    Verdict from_guest(Bytes frame);

    // Reads the answers of name servers. A frame for the VM always passes, since only what was asked for comes back.
    void from_world(Bytes frame);

    // URLs of all that was let through but name servers, as `gvmi manifest add-outbound` takes them; the first kMaxReached.
    const std::set<std::string>& reached() const { return reached_; }

private:
    Verdict stop(Bytes frame, const Packet& packet);
    void note_reached(const Target& target);
    void tell(const Target& target);
    std::string reason(const Target& target) const;
    std::string name_of_address(uint32_t address) const;  // empty: none was asked for

    Access access_;
    std::function<void(const std::string&)> say_;
    std::unordered_map<uint32_t, std::string> names_;  // what each address was last asked for as
    std::set<Target> told_;
    std::set<Target> noted_;
    std::set<std::string> reached_;
};

}  // namespace dbg::outbound
