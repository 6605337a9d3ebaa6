#include "vm/machine.h"

#include <fcntl.h>

#include "base/error.h"

namespace vm {
namespace {

base::UniqueFd copy(const base::UniqueFd& fd) {
    base::UniqueFd result(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
    if (!result) base::throw_errno("cannot copy a descriptor");
    return result;
}

}  // namespace

std::string card_mac(size_t number) {
    return std::string("\x90\x13\0\0\0", 5) + static_cast<char>(number + 1);
}

Machine copy(const Machine& machine) {
    Machine result;
    result.accelerator = machine.accelerator;
    result.cores = machine.cores;
    result.memory_bytes = machine.memory_bytes;
    result.kernel = machine.kernel;
    result.initramfs = machine.initramfs;
    for (const Disk& disk : machine.disks)
        result.disks.push_back({.file = copy(disk.file), .serial = disk.serial, .read_only = disk.read_only, .ephemeral = disk.ephemeral});
    result.share = machine.share;
    for (size_t i = 0; i < kCards; i++) {
        if (machine.cards[i]) result.cards[i] = Card{.kind = machine.cards[i]->kind, .socket = copy(machine.cards[i]->socket)};
    }
    result.background = machine.background;
    return result;
}

}  // namespace vm
