#include "vm/machine.h"

#include "base/fd.h"

namespace vm {

std::string card_mac(size_t number) {
    return std::string("\x90\x13\0\0\0", 5) + static_cast<char>(number + 1);
}

Machine bare(const Machine& machine) {
    Machine result;
    result.qemu = machine.qemu;
    result.accelerator = machine.accelerator;
    result.cpu = machine.cpu;
    result.cores = machine.cores;
    result.memory_bytes = machine.memory_bytes;
    result.kernel = machine.kernel;
    result.initramfs = machine.initramfs;
    result.confinement = machine.confinement;
    return result;
}

Machine copy(const Machine& machine) {
    Machine result = bare(machine);
    for (const Disk& disk : machine.disks) {
        result.disks.push_back({.file = disk.connect ? base::UniqueFd() : base::copy_of(disk.file),
                                .serial = disk.serial,
                                .read_only = disk.read_only,
                                .ephemeral = disk.ephemeral,
                                .connect = disk.connect});
    }
    result.share = machine.share;
    for (size_t i = 0; i < kCards; i++) {
        if (machine.cards[i]) result.cards[i] = Card{.kind = machine.cards[i]->kind, .socket = base::copy_of(machine.cards[i]->socket)};
    }
    result.pci_devices = machine.pci_devices;
    result.background = machine.background;
    return result;
}

}  // namespace vm
