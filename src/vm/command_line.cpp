#include "vm/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace vm {
namespace {

constexpr unsigned kSlots = 8;
constexpr unsigned kAgentSlot = 0;
constexpr unsigned kReadOnlyDiskSlot = 1;
constexpr unsigned kWritableDiskSlot = 2;
constexpr unsigned kShareSlot = 3;
constexpr unsigned kCardSlot = 4;
constexpr unsigned kBalloonSlot = 6;
constexpr unsigned kScsiSlot = 7;
// The size that a guest sees of an empty disk. A guest reads a disk's size only once, possibly before the disk is there, so this is more
// than any disk has. QEMU refuses access beyond the disk's real end.
constexpr uint64_t kPlaceholderBytes = uint64_t{64} << 40;
// The kernel hangs or panics below 48 MiB (seen with 10, 20, 32 and 40), and the image's programs need some too.
constexpr uint64_t kMinMemory = 64 << 20;

using Arguments = std::vector<std::string>;

void add(Arguments& arguments, const char* option, std::string value) {
    arguments.emplace_back(option);
    arguments.push_back(std::move(value));
}

bool has_pci(const Machine& machine) {
    return !machine.pci_devices.empty();
}

// A virtio device in its slot: one of microvm's, or the one with the same number, from the second on, on q35's PCI bus.
std::string virtio(const Machine& machine, const char* kind, unsigned slot) {
    if (has_pci(machine)) return fmt::format("virtio-{}-pci,bus=pcie.0,addr={:#x}", kind, slot + 1);
    return fmt::format("virtio-{}-device,bus=virtio-mmio-bus.{}", kind, slot);
}

// A value inside a list of options: QEMU reads a doubled comma as one.
std::string escaped(std::string_view value) {
    std::string result;
    for (const char c : value) {
        result += c;
        if (c == ',') result += c;
    }
    return result;
}

// Names that we choose; none may end or add an option.
void check_name(const std::string& name, size_t limit) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    };
    const bool begins_well = !name.empty() && ((name[0] >= 'a' && name[0] <= 'z') || (name[0] >= 'A' && name[0] <= 'Z'));
    if (!begins_well || name.size() > limit || !std::all_of(name.begin(), name.end(), allowed))
        throw base::Error("not a name that a device can have: \"" + name + "\"");
}

void check(const Machine& machine) {
    if (machine.memory_bytes % (1 << 20) != 0) throw base::Error("a VM's memory is a whole number of MiB");
    if (machine.memory_bytes < kMinMemory)
        throw base::Error(
            fmt::format("a VM needs at least {} MiB of memory; it was given {} MiB", kMinMemory >> 20, machine.memory_bytes >> 20));
    if (machine.cores == 0) throw base::Error("a VM needs a CPU core");
    if (machine.disks.size() > kMaxDisks) throw base::Error(fmt::format("a VM can have {} disks", kMaxDisks));
    for (const Disk& disk : machine.disks)
        check_name(disk.serial, 20);
}

std::string kernel_arguments(const Machine& machine, uint64_t tsc_khz) {
    // The kernel must know the slots that are empty now, since a restored VM may have a device there; QEMU would name only the occupied
    // ones. reboot=t: without ACPI a guest ends its VM by a triple fault. no_timer_check: the check is meant for broken boards, and on a
    // busy host an emulated timer may come too late for it, which is a panic.
    std::string text = "console=ttyS0 panic=-1 reboot=t no_timer_check dummy.numdummies=0 quiet";
    // Under emulation the kernel's own measurement mostly fails, and its watchdog takes late ticks on a busy host for a broken counter.
    // Either leaves the guest with a 10 ms clock, with which TCP is fifty times slower.
    if (tsc_khz != 0) text += fmt::format(" tsc_early_khz={} tsc=reliable", tsc_khz);
    for (unsigned slot = 0; slot < kSlots && !has_pci(machine); slot++)
        text += fmt::format(" virtio_mmio.device=512@{:#x}:{}", 0xfeb00000 + 512 * slot, 5 + slot);
    return text;
}

void add_base(Arguments& arguments, const Machine& machine, int memory) {
    const bool kvm = machine.accelerator == Accelerator::kvm;
    const uint64_t mib = machine.memory_bytes >> 20;
    arguments.insert(arguments.end(), {"-nodefaults", "-no-user-config", "-nographic", "-no-reboot"});
    if (machine.qemu.is_ours()) add(arguments, "-L", machine.qemu.firmware);
    add(arguments, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    add(arguments, "-M",
        has_pci(machine) ? "q35,usb=off,sata=off,smbus=off,vmport=off,graphics=off,memory-backend=memory"
                         : "microvm,x-option-roms=off,isa-serial=on,acpi=off,auto-kernel-cmdline=off,memory-backend=memory");
    // QEMU 10 loses a wake-up: a disk on the SCSI controller that a restored VM finds hangs until something else wakes its main loop. So
    // the guest's CPU serves the devices of a microvm itself. That was seen under emulation, and cannot be ruled out under KVM. A q35,
    // which always boots, has not shown it.
    if (!has_pci(machine)) add(arguments, "-global", "virtio-mmio.ioeventfd=off");
    add(arguments, "-accel", kvm ? "kvm" : "tcg,thread=multi");
    // Under emulation the string instructions that these flags advertise are slower than the loops that glibc and the kernel use otherwise;
    // without them output of a guest doubles.
    const std::string model = machine.cpu.empty() ? (kvm ? "host" : "max") : escaped(machine.cpu);
    add(arguments, "-cpu", model + (kvm ? "" : ",erms=off,fsrm=off"));
    add(arguments, "-smp", std::to_string(machine.cores));
    add(arguments, "-m", fmt::format("{}M", mib));
    // share=on: we see and save what QEMU writes there, and QEMU sees what we write.
    add(arguments, "-object", fmt::format("memory-backend-file,id=memory,size={}M,mem-path=/proc/self/fd/{},share=on", mib, memory));
}

void add_kernel(Arguments& arguments, const Machine& machine, uint64_t tsc_khz) {
    add(arguments, "-kernel", std::filesystem::absolute(machine.kernel));
    add(arguments, "-initrd", std::filesystem::absolute(machine.initramfs));
    add(arguments, "-append", kernel_arguments(machine, tsc_khz));
}

void add_channels(Arguments& arguments, const Machine& machine, const InheritedFds& fds) {
    add(arguments, "-chardev", fmt::format("socket,id=qmp,fd={}", fds.qmp));
    add(arguments, "-mon", "chardev=qmp,mode=control");
    add(arguments, "-chardev", fmt::format("socket,id=console,fd={}", fds.console));
    add(arguments, "-serial", "chardev:console");
    add(arguments, "-chardev", fmt::format("socket,id=agent,fd={}", fds.agent));
    // Port 0 belongs to a console; unused ports would only cost boot time.
    add(arguments, "-device", virtio(machine, "serial", kAgentSlot) + ",id=ports,max_ports=2");
    add(arguments, "-device", "virtserialport,bus=ports.0,nr=1,chardev=agent,name=agent");
}

void add_disk(Arguments& arguments, const Disk& disk, size_t set, int number, const std::string& device) {
    if (disk.connect) {
        add(arguments, "-blockdev", fmt::format("driver=nbd,node-name={},read-only=on,server.type=fd,server.str={}", disk.serial, number));
    } else {
        add(arguments, "-add-fd", fmt::format("fd={},set={}", number, set));
        add(arguments, "-blockdev",
            fmt::format("driver=raw,node-name={},read-only={},discard=unmap,cache.no-flush={},file.driver=file,file.filename=/dev/fdset/{}",
                        disk.serial, disk.read_only ? "on" : "off", disk.ephemeral ? "on" : "off", set));
    }
    // By default a write error stops the VM until somebody intervenes.
    add(arguments, "-device", fmt::format("{},drive={},serial={},werror=report,rerror=report", device, disk.serial, disk.serial));
}

void add_disks(Arguments& arguments, const Machine& machine, const std::vector<int>& numbers) {
    bool slot_used[2] = {};
    bool controller = false;
    for (size_t i = 0; i < machine.disks.size(); i++) {
        const Disk& disk = machine.disks[i];
        std::string device;
        if (!std::exchange(slot_used[disk.read_only ? 0 : 1], true)) {
            device = virtio(machine, "blk", disk.read_only ? kReadOnlyDiskSlot : kWritableDiskSlot);
        } else {
            if (!std::exchange(controller, true)) add(arguments, "-device", virtio(machine, "scsi", kScsiSlot) + ",id=scsi");
            device = "scsi-hd,bus=scsi.0";
        }
        add_disk(arguments, disk, i, numbers.at(i), device);
    }
    for (const bool read_only : {true, false}) {
        if (slot_used[read_only ? 0 : 1] || has_pci(machine)) continue;
        const char* name = read_only ? "no-image" : "no-disk";
        add(arguments, "-blockdev",
            fmt::format("driver=null-co,node-name={},read-only={},size={},read-zeroes=on", name, read_only ? "on" : "off",
                        kPlaceholderBytes));
        add(arguments, "-device",
            fmt::format("{},drive={},serial={}", virtio(machine, "blk", read_only ? kReadOnlyDiskSlot : kWritableDiskSlot), name, name));
    }
}

void add_share(Arguments& arguments, const Machine& machine) {
    const std::optional<Share>& share = machine.share;
    if (!share && has_pci(machine)) return;
    std::string folder = "synth,id=share";  // an empty folder that does not exist on the host
    if (share) {
        folder = fmt::format("local,id=share,path={},security_model=mapped-xattr,multidevs=remap",
                             escaped(std::filesystem::absolute(share->folder).string()));
    }
    add(arguments, "-fsdev", folder);
    add(arguments, "-device", fmt::format("{},fsdev=share,mount_tag={}", virtio(machine, "9p", kShareSlot), kShareTag));
}

void add_cards(Arguments& arguments, const Machine& machine, const std::array<int, kCards>& numbers) {
    for (size_t i = 0; i < kCards; i++) {
        // Hiding a placeholder card from the guest would take longer than adding a second card.
        if ((i > 0 || has_pci(machine)) && !machine.cards[i]) continue;
        std::string peer = has_pci(machine) ? "romfile=," : "";  // no option ROM: no VM boots from the network
        if (const auto& card = machine.cards[i]) {
            const char* backend =
                card->kind == Card::Kind::udp ? "dgram,id=card{},local.type=fd,local.str={}" : "stream,id=card{},addr.type=fd,addr.str={}";
            add(arguments, "-netdev", fmt::format(fmt::runtime(backend), i, numbers[i]));
            peer += fmt::format("netdev=card{},", i);
        }
        const std::string mac = card_mac(i);
        const auto* bytes = reinterpret_cast<const unsigned char*>(mac.data());
        add(arguments, "-device",
            fmt::format("{},{}mac={:02x}", virtio(machine, "net", kCardSlot + static_cast<unsigned>(i)), peer,
                        fmt::join(bytes, bytes + mac.size(), ":")));
    }
}

}  // namespace

std::vector<std::string> command_line(const Machine& machine, const InheritedFds& fds, StartMode mode) {
    check(machine);
    if (has_pci(machine) && mode == StartMode::restore) throw base::Error("a VM with PCI devices boots");
    Arguments arguments;
    add_base(arguments, machine, fds.memory);
    if (mode == StartMode::boot) {
        add_kernel(arguments, machine, fds.tsc_khz);
    } else {
        add(arguments, "-incoming", "defer");
    }
    add_channels(arguments, machine, fds);
    add_disks(arguments, machine, fds.disks);
    add_share(arguments, machine);
    add_cards(arguments, machine, fds.cards);
    // Memory that vfio has locked for its device cannot be given back.
    if (!has_pci(machine)) add(arguments, "-device", virtio(machine, "balloon", kBalloonSlot) + ",free-page-reporting=on");
    // Last, so that QEMU gives them free addresses.
    for (const PciDevice& device : machine.pci_devices)
        add(arguments, "-device", device.options);
    return arguments;
}

}  // namespace vm
