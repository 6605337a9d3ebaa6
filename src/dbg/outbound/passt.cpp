#include "dbg/outbound/passt.h"

#include <array>
#include <sstream>

#include "base/error.h"
#include "base/untrusted_text.h"
#include "dbg/outbound/packet.h"

namespace dbg::outbound {

std::string find_passt() {
    std::string program = base::find_program("passt");
    if (program.empty()) throw base::Error("--outbound needs passt, which is not there: install the package passt");
    return program;
}

Passt start_passt(const std::string& program) {
    constexpr int kFramesInChild = 3;
    auto [ours, theirs] = base::socket_pair();
    Passt passt;
    passt.frames = std::move(ours);
    passt.messages = base::memory_file("passt");
    base::Command command;
    command.argv = {program,
                    "--foreground",
                    "--quiet",
                    "--fd",
                    std::to_string(kFramesInChild),
                    "--ipv4-only",
                    "--address",
                    address_text(kGuestAddress),
                    "--netmask",
                    "24",
                    "--gateway",
                    address_text(kGatewayAddress),
                    "--mac-addr",
                    "90:13:0a:2a:2a:01",
                    "--no-dhcp",
                    "--no-map-gw",
                    "--dns-forward",
                    "1.1.1.1"};  // to this machine's own, which also works where others cannot be reached
    command.environment = base::own_environment();
    command.fds = {{passt.messages.get(), STDERR_FILENO}, {theirs.get(), kFramesInChild}};
    command.own_group = true;  // the terminal's Ctrl-C is not for it
    passt.child = base::spawn(command);
    return passt;
}

std::string last_words(const Passt& passt) {
    std::array<char, 4096> buffer{};
    const ssize_t size = ::pread(passt.messages.get(), buffer.data(), buffer.size(), 0);
    std::istringstream lines(std::string(buffer.data(), size > 0 ? static_cast<size_t>(size) : 0));
    std::string last;
    for (std::string line; std::getline(lines, line);) {
        // It tells standard error of each message that the system's log did not take.
        if (!line.empty() && !line.starts_with("Failed to send ")) last = line;
    }
    return base::escape_line(last);
}

}  // namespace dbg::outbound
