// Folder vm: a Machine (what is wanted) and QEMU (how it is made): command line, QMP, accelerators, confinement. It knows nothing of
// images, agents or supervisors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"

namespace vm {

enum class Accelerator { kvm, tcg };

// A raw disk, found by the guest by its serial. The first read-only disk and the first writable one get device slots of their own, the
// others share a SCSI controller.
struct Disk {
    base::UniqueFd file;  // opened O_RDONLY where it is read-only, else O_RDWR
    std::string serial;   // 1 to 20 letters, digits, '-' and '_', a letter first; no two disks have the same
    bool read_only = false;
    bool ephemeral = false;  // of no use after the VM: what the guest flushes may stay in the host's memory
};

// One 9p share that holds all host volumes as folders, security_model=mapped-xattr: needs a file system with user xattrs.
struct Share {
    std::filesystem::path folder;
    std::string tag;
};

// A virtio-net card connected to the supervisor's end (exe-unit.md, Networking).
struct Card {
    std::string name;  // "eth0": letters, digits, '-' and '_', a letter first
    std::string mac;   // lower case: "90:13:00:00:00:01"
    enum class Kind { udp, tcp } kind = Kind::udp;
    base::UniqueFd socket;  // udp: bound and connected; tcp: connected
};

constexpr size_t kMaxDisks = 32;  // of one VM

struct Machine {
    Accelerator accelerator = Accelerator::kvm;
    unsigned cores = 1;
    uint64_t memory_bytes = 0;     // a multiple of 1 MiB, at least 64 MiB
    std::filesystem::path kernel;  // uncompressed vmlinux with a PVH entry
    std::filesystem::path initramfs;
    std::vector<Disk> disks;  // at most kMaxDisks
    std::optional<Share> share;
    std::vector<Card> cards;  // at most 2
};

}  // namespace vm
