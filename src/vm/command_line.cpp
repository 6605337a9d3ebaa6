#include "vm/command_line.h"

#include <fmt/format.h>

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
constexpr size_t kMaxCards = 2;
constexpr unsigned kScsiSlot = 7;
// The kernel hangs or panics below 48 MiB (seen with 10, 20, 32 and 40), and the image's programs need some too.
constexpr uint64_t kMinMemory = 64 << 20;

using Arguments = std::vector<std::string>;

void add(Arguments& arguments, const char* option, std::string value) {
    arguments.emplace_back(option);
    arguments.push_back(std::move(value));
}

std::string bus(unsigned slot) {
    return fmt::format("bus=virtio-mmio-bus.{}", slot);
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

// Names that we give ourselves; none may end or add an option.
void check_name(const std::string& name, size_t limit) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    };
    const bool begins_well = !name.empty() && ((name[0] >= 'a' && name[0] <= 'z') || (name[0] >= 'A' && name[0] <= 'Z'));
    if (!begins_well || name.size() > limit || !std::all_of(name.begin(), name.end(), allowed))
        throw base::Error("not a name that a device can have: \"" + name + "\"");
}

void check_mac(const std::string& mac) {
    if (mac.size() != 17 || mac.find_first_not_of("0123456789abcdef:") != std::string::npos)
        throw base::Error("not a MAC address: \"" + mac + "\"");
}

void check(const Machine& machine) {
    if (machine.memory_bytes % (1 << 20) != 0) throw base::Error("a VM's memory is a whole number of MiB");
    if (machine.memory_bytes < kMinMemory)
        throw base::Error(
            fmt::format("a VM needs at least {} MiB of memory; it was given {} MiB", kMinMemory >> 20, machine.memory_bytes >> 20));
    if (machine.cores == 0) throw base::Error("a VM needs a CPU core");
    if (machine.disks.size() > kMaxDisks) throw base::Error(fmt::format("a VM can have {} disks", kMaxDisks));
    if (machine.cards.size() > kMaxCards) throw base::Error(fmt::format("a VM can have {} network cards", kMaxCards));
    for (const Disk& disk : machine.disks)
        check_name(disk.serial, 20);
    for (const Card& card : machine.cards) {
        check_name(card.name, 15);
        check_mac(card.mac);
    }
    if (machine.share) check_name(machine.share->tag, 31);
}

std::string kernel_arguments() {
    // The kernel must know a slot that is empty now, since a restored VM may have a device there; QEMU would name only the occupied ones.
    // reboot=t: without ACPI a triple fault is how a guest ends its VM.
    std::string text = "console=ttyS0 panic=-1 reboot=t quiet";
    for (unsigned slot = 0; slot < kSlots; slot++)
        text += fmt::format(" virtio_mmio.device=512@{:#x}:{}", 0xfeb00000 + 512 * slot, 5 + slot);
    return text;
}

void add_base(Arguments& arguments, const Machine& machine) {
    const bool kvm = machine.accelerator == Accelerator::kvm;
    const uint64_t mib = machine.memory_bytes >> 20;
    arguments.insert(arguments.end(), {"-nodefaults", "-no-user-config", "-nographic", "-no-reboot"});
    add(arguments, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    add(arguments, "-M", "microvm,x-option-roms=off,isa-serial=on,acpi=off,auto-kernel-cmdline=off,memory-backend=memory");
    add(arguments, "-accel", kvm ? "kvm" : "tcg,thread=multi");
    // Emulated, the string instructions that these two flags advertise are slower than the loops that glibc and the kernel use without
    // them: output of a guest doubles.
    add(arguments, "-cpu", kvm ? "host" : "max,erms=off,fsrm=off");
    add(arguments, "-smp", std::to_string(machine.cores));
    add(arguments, "-m", fmt::format("{}M", mib));
    add(arguments, "-object", fmt::format("memory-backend-memfd,id=memory,size={}M,share=on", mib));
    add(arguments, "-kernel", std::filesystem::absolute(machine.kernel));
    add(arguments, "-initrd", std::filesystem::absolute(machine.initramfs));
    add(arguments, "-append", kernel_arguments());
}

void add_channels(Arguments& arguments, const DescriptorNumbers& numbers) {
    add(arguments, "-chardev", fmt::format("socket,id=qmp,fd={}", numbers.qmp));
    add(arguments, "-mon", "chardev=qmp,mode=control");
    add(arguments, "-chardev", fmt::format("socket,id=console,fd={}", numbers.console));
    add(arguments, "-serial", "chardev:console");
    add(arguments, "-chardev", fmt::format("socket,id=agent,fd={}", numbers.agent));
    // Port 0 is a console's; more ports than are used would only cost boot time.
    add(arguments, "-device", "virtio-serial-device,id=ports,max_ports=2," + bus(kAgentSlot));
    add(arguments, "-device", "virtserialport,bus=ports.0,nr=1,chardev=agent,name=agent");
}

void add_disk(Arguments& arguments, const Disk& disk, size_t set, int number, const std::string& device) {
    add(arguments, "-add-fd", fmt::format("fd={},set={}", number, set));
    add(arguments, "-blockdev",
        fmt::format("driver=raw,node-name={},read-only={},discard=unmap,cache.no-flush={},file.driver=file,file.filename=/dev/fdset/{}",
                    disk.serial, disk.read_only ? "on" : "off", disk.ephemeral ? "on" : "off", set));
    // The default for a write error would stop the VM until somebody comes.
    add(arguments, "-device", fmt::format("{},drive={},serial={},werror=report,rerror=report", device, disk.serial, disk.serial));
}

void add_disks(Arguments& arguments, const Machine& machine, const std::vector<int>& numbers) {
    bool slot_used[2] = {};
    bool controller = false;
    for (size_t i = 0; i < machine.disks.size(); i++) {
        const Disk& disk = machine.disks[i];
        std::string device;
        if (!std::exchange(slot_used[disk.read_only ? 0 : 1], true)) {
            device = "virtio-blk-device," + bus(disk.read_only ? kReadOnlyDiskSlot : kWritableDiskSlot);
        } else {
            if (!std::exchange(controller, true)) add(arguments, "-device", "virtio-scsi-device,id=scsi," + bus(kScsiSlot));
            device = "scsi-hd,bus=scsi.0";
        }
        add_disk(arguments, disk, i, numbers.at(i), device);
    }
}

void add_share(Arguments& arguments, const Share& share) {
    add(arguments, "-fsdev",
        fmt::format("local,id=share,path={},security_model=mapped-xattr,multidevs=remap",
                    escaped(std::filesystem::absolute(share.folder).string())));
    add(arguments, "-device", fmt::format("virtio-9p-device,fsdev=share,mount_tag={},{}", share.tag, bus(kShareSlot)));
}

void add_cards(Arguments& arguments, const Machine& machine, const std::vector<int>& numbers) {
    for (size_t i = 0; i < machine.cards.size(); i++) {
        const Card& card = machine.cards[i];
        const char* backend =
            card.kind == Card::Kind::udp ? "dgram,id={},local.type=fd,local.str={}" : "stream,id={},addr.type=fd,addr.str={}";
        add(arguments, "-netdev", fmt::format(fmt::runtime(backend), card.name, numbers.at(i)));
        add(arguments, "-device",
            fmt::format("virtio-net-device,netdev={},mac={},{}", card.name, card.mac, bus(kCardSlot + static_cast<unsigned>(i))));
    }
}

}  // namespace

std::vector<std::string> command_line(const Machine& machine, const DescriptorNumbers& numbers) {
    check(machine);
    Arguments arguments;
    add_base(arguments, machine);
    add_channels(arguments, numbers);
    add_disks(arguments, machine, numbers.disks);
    if (machine.share) add_share(arguments, *machine.share);
    add_cards(arguments, machine, numbers.cards);
    return arguments;
}

}  // namespace vm
