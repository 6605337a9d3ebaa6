#pragma once

#include <string>
#include <vector>

#include "vm/machine.h"

namespace vm {

// The numbers that a machine's descriptors have in QEMU's process.
struct DescriptorNumbers {
    int agent = -1;
    int qmp = -1;
    int console = -1;
    std::vector<int> disks = {};  // as in Machine::disks
    std::vector<int> cards = {};  // as in Machine::cards
};

// QEMU's arguments for a machine, argv[0] excepted. Each device has a fixed slot of microvm's eight, so that the VMs of one shape look
// alike to a guest whether it was booted or restored: 0 agent, 1 first read-only disk, 2 first writable disk, 3 share, 4 and 5 cards, 7
// SCSI controller with all further disks. Throws base::Error for a machine that breaks machine.h's limits.
std::vector<std::string> command_line(const Machine& machine, const DescriptorNumbers& numbers);

}  // namespace vm
