#pragma once

#include <array>
#include <string>
#include <vector>

#include "vm/machine.h"

namespace vm {

// What a machine finds where it runs: the numbers of its descriptors in QEMU's process, and the host's clock.
struct InheritedFds {
    int agent = -1;
    int qmp = -1;
    int console = -1;
    int memory = -1;
    uint64_t tsc_khz = 0;         // the frequency of the host's time stamp counter, which an emulated CPU uses as its own; 0: unknown
    std::vector<int> disks = {};  // as in Machine::disks
    std::array<int, kCards> cards = {-1, -1};  // as in Machine::cards
};

// Whether a VM boots its kernel, or waits for another VM's saved state (the QMP command migrate-incoming).
enum class StartMode { boot, restore };

// QEMU's arguments for a machine, argv[0] excepted. Each device has a fixed slot of microvm's eight, so that all VMs of one shape look
// alike to a guest: 0 agent, 1 first read-only disk, 2 first writable disk, 3 share, 4 and 5 cards, 6 balloon, which returns the guest's
// free pages to the host; but the second card is only there where it is wanted, and so is 7, the SCSI controller of further disks. With PCI
// devices it is a q35 without the balloon. Throws base::Error for a machine that breaks machine.h's limits.
std::vector<std::string> command_line(const Machine& machine, const InheritedFds& fds, StartMode mode);

}  // namespace vm
