// Folder vm: a Machine (what is wanted) and QEMU (how it is made): command line, QMP, accelerators, confinement. It knows nothing of
// images, agents or supervisors. A VM can be saved, and others resume from there: template_file.h, template_store.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "vm/qemu_program.h"

namespace vm {

enum class Accelerator { kvm, tcg };

// How much of QEMU's confinement must be there (confinement.h): all of it, or what the host has.
enum class ConfinementMode { best, strict };

// A raw disk, found by the guest by its serial. The first read-only disk and the first writable one get device slots of their own, the
// others share a SCSI controller.
struct Disk {
    base::UniqueFd file = {};  // opened O_RDONLY where it is read-only, else O_RDWR
    std::string serial;        // 1 to 20 letters, digits, '-' and '_', a letter first; no two disks have the same
    bool read_only = false;
    bool ephemeral = false;  // not needed after the VM, so flushed data may stay in the host's memory
    // In place of `file`, of a read-only disk: gives a new connection to an NBD server of the disk, which lives as long as the VM.
    std::function<base::UniqueFd()> connect = {};
};

// One 9p share that holds all host volumes as folders, security_model=mapped-xattr: needs a file system with user xattrs.
struct Share {
    std::filesystem::path folder;
};
constexpr const char* kShareTag = "volumes";  // by which the guest mounts it

// The supervisor's end of a virtio-net card (docs/spec/exe-unit.md, Networking).
struct Card {
    enum class Kind { udp, tcp } kind = Kind::udp;
    base::UniqueFd socket;  // udp: bound and connected; tcp: connected
};

// A device on the VM's PCI bus, such as one of the host's by vfio.
struct PciDevice {
    std::string options;                            // QEMU's -device: "vfio-pci,host=0000:01:00.0"
    std::vector<std::filesystem::path> files = {};  // device files that QEMU opens for it
};

constexpr size_t kMaxDisks = 32;  // of one VM
constexpr size_t kCards = 2;

// The MAC address that a card has when the guest finds it, 6 bytes: 90:13:00:00:00:01 and …:02.
std::string card_mac(size_t number);

// Every VM has the same devices in the same places. Where the machine lacks a disk, the share or the first card, a placeholder is there,
// which is empty or leads nowhere. So a VM that was saved without them can resume with them. A machine with PCI devices is a q35, which
// always boots and has no placeholders.
struct Machine {
    QemuProgram qemu;
    Accelerator accelerator = Accelerator::kvm;
    std::string cpu = {};  // QEMU's name of a model; empty: the host's under KVM, else all that QEMU can emulate
    unsigned cores = 1;
    uint64_t memory_bytes = 0;     // a multiple of 1 MiB, at least 64 MiB
    std::filesystem::path kernel;  // uncompressed vmlinux with a PVH entry
    std::filesystem::path initramfs;
    std::vector<Disk> disks;  // at most kMaxDisks
    std::optional<Share> share;
    std::array<std::optional<Card>, kCards> cards = {};  // 0 is eth0 in the guest
    std::vector<PciDevice> pci_devices = {};             // vfio needs all of the VM's memory locked (RLIMIT_MEMLOCK)
    bool background = false;  // QEMU runs only when nothing else wants a CPU, and outside our process group, which is billed
    ConfinementMode confinement = ConfinementMode::best;
};

// A machine of the same shape that has nothing but placeholders.
Machine bare(const Machine& machine);

// The same machine, with copies of its descriptors. Throws base::Error.
Machine copy(const Machine& machine);

}  // namespace vm
