// Folder vm: a Machine (what is wanted) and QEMU (how it is made): command line, QMP, accelerators, confinement. It knows nothing of
// images, agents or supervisors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"

namespace vm {

enum class Accelerator { kvm, tcg };

// A disk, found by the guest by its serial. The file is opened by us and passed as a descriptor.
struct Disk {
    base::UniqueFd file;
    std::string serial;  // at most 20 characters
    bool read_only = false;
};

// One 9p share that holds all host volumes as folders, security_model=mapped-xattr.
struct Share {
    std::filesystem::path folder;
    std::string tag;
};

// A virtio-net card connected to the supervisor's end (exe-unit.md, Networking).
struct Card {
    std::string name;  // "eth0"
    std::string mac;   // "90:13:00:00:00:01"
    enum class Kind { udp, tcp } kind = Kind::udp;
    base::UniqueFd socket;  // udp: bound and connected; tcp: connected
};

struct Machine {
    Accelerator accelerator = Accelerator::kvm;
    unsigned cores = 1;
    uint64_t memory_bytes = 0;     // a multiple of 1 MiB
    std::filesystem::path kernel;  // uncompressed vmlinux with a PVH entry
    std::filesystem::path initramfs;
    std::vector<Disk> disks;
    std::optional<Share> share;
    std::vector<Card> cards;
};

}  // namespace vm
