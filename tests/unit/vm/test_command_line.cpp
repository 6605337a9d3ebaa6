#include "vm/command_line.h"

#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace {

using testing::HasSubstr;
using testing::Not;

vm::Machine machine() {
    vm::Machine machine;
    machine.accelerator = vm::Accelerator::tcg;
    machine.cores = 2;
    machine.memory_bytes = 256 << 20;
    machine.kernel = "/runtime/vmlinux";
    machine.initramfs = "/runtime/initramfs";
    return machine;
}

void add_disk(vm::Machine& machine, const char* serial, bool read_only, bool ephemeral = false) {
    machine.disks.push_back({.file = {}, .serial = serial, .read_only = read_only, .ephemeral = ephemeral});
}

std::string line(const vm::Machine& machine, vm::StartMode mode = vm::StartMode::boot) {
    const vm::InheritedFds fds{
        .agent = 3, .qmp = 4, .console = 5, .memory = 12, .tsc_khz = 2596122, .disks = {6, 7, 8, 9}, .cards = {10, 11}};
    return fmt::format("{}", fmt::join(vm::command_line(machine, fds, mode), " "));
}

TEST(CommandLine, DescribesTheMachine) {
    const std::string text = line(machine());
    EXPECT_THAT(text, HasSubstr("-M microvm,x-option-roms=off,isa-serial=on,acpi=off,auto-kernel-cmdline=off,memory-backend=memory "));
    EXPECT_THAT(text, HasSubstr("-accel tcg,thread=multi -cpu max,erms=off,fsrm=off -smp 2 -m 256M "));
    EXPECT_THAT(text, HasSubstr("memory-backend-file,id=memory,size=256M,mem-path=/proc/self/fd/12,share=on"));
    EXPECT_THAT(text, HasSubstr("-kernel /runtime/vmlinux -initrd /runtime/initramfs "));
    EXPECT_THAT(text, HasSubstr("-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"));
    EXPECT_THAT(
        text,
        HasSubstr("quiet tsc_early_khz=2596122 tsc=reliable virtio_mmio.device=512@0xfeb00000:5 virtio_mmio.device=512@0xfeb00200:6 "));
    EXPECT_THAT(text, HasSubstr("virtio_mmio.device=512@0xfeb00e00:12"));
    EXPECT_THAT(text, HasSubstr("-chardev socket,id=agent,fd=3 -device virtio-serial-device,bus=virtio-mmio-bus.0,id=ports,max_ports=2"));
    EXPECT_THAT(text, HasSubstr("-chardev socket,id=qmp,fd=4 -mon chardev=qmp,mode=control"));
    EXPECT_THAT(text, HasSubstr("-chardev socket,id=console,fd=5 -serial chardev:console"));
    EXPECT_THAT(text, HasSubstr("-device virtio-balloon-device,bus=virtio-mmio-bus.6,free-page-reporting=on"));
    EXPECT_THAT(text, Not(HasSubstr("scsi")));
    EXPECT_THAT(text, Not(HasSubstr("-incoming")));
}

TEST(CommandLine, PutsPlaceholdersWhereTheMachineHasNothing) {
    const std::string text = line(machine());
    EXPECT_THAT(text, HasSubstr("-blockdev driver=null-co,node-name=no-image,read-only=on,size=70368744177664,read-zeroes=on "
                                "-device virtio-blk-device,bus=virtio-mmio-bus.1,drive=no-image,serial=no-image"));
    EXPECT_THAT(text, HasSubstr("node-name=no-disk,read-only=off,"));
    EXPECT_THAT(text, HasSubstr("virtio-blk-device,bus=virtio-mmio-bus.2,drive=no-disk,serial=no-disk"));
    EXPECT_THAT(text, HasSubstr("-fsdev synth,id=share -device virtio-9p-device,bus=virtio-mmio-bus.3,fsdev=share,mount_tag=volumes"));
    EXPECT_THAT(text, HasSubstr("-device virtio-net-device,bus=virtio-mmio-bus.4,mac=90:13:00:00:00:01"));
    EXPECT_THAT(text, Not(HasSubstr("bus=virtio-mmio-bus.5"))) << "the second card is there where it is wanted only";
}

TEST(CommandLine, ARestoredVmHasTheSameDevicesAndNoKernel) {
    vm::Machine one = machine();
    add_disk(one, "image0", true);
    const std::string booted = line(one);
    const std::string restored = line(one, vm::StartMode::restore);
    EXPECT_THAT(restored, HasSubstr("-incoming defer"));
    EXPECT_THAT(restored, Not(HasSubstr(" -kernel ")));
    const auto devices = [](const std::string& text) { return text.substr(text.find("-chardev")); };
    EXPECT_EQ(devices(restored), devices(booted));
}

TEST(CommandLine, RunsTheHostsCpuUnderKvm) {
    vm::Machine kvm = machine();
    kvm.accelerator = vm::Accelerator::kvm;
    EXPECT_THAT(line(kvm), HasSubstr("-global virtio-mmio.ioeventfd=off -accel kvm -cpu host"));
}

TEST(CommandLine, GivesTheCpuThatIsAskedFor) {
    vm::Machine other = machine();
    other.cpu = "Nehalem-v1";
    EXPECT_THAT(line(other), HasSubstr(" -cpu Nehalem-v1,erms=off,fsrm=off "));
    other.accelerator = vm::Accelerator::kvm;
    EXPECT_THAT(line(other), HasSubstr(" -cpu Nehalem-v1 "));
    other.cpu = "max,pmu=on";
    EXPECT_THAT(line(other), HasSubstr(" -cpu max,,pmu=on ")) << "one name, which QEMU refuses";
}

TEST(CommandLine, GivesTheFirstDisksSlotsAndTheOthersAController) {
    vm::Machine with_disks = machine();
    add_disk(with_disks, "scratch", false, true);
    add_disk(with_disks, "image-0", true);
    add_disk(with_disks, "image-1", true);
    add_disk(with_disks, "storage-0", false);
    const std::string text = line(with_disks);
    EXPECT_THAT(text,
                HasSubstr("-add-fd fd=6,set=0 -blockdev driver=raw,node-name=scratch,read-only=off,discard=unmap,cache.no-flush=on,"
                          "file.driver=file,file.filename=/dev/fdset/0 "
                          "-device virtio-blk-device,bus=virtio-mmio-bus.2,drive=scratch,serial=scratch,werror=report,rerror=report"));
    EXPECT_THAT(text, HasSubstr("node-name=image-0,read-only=on,discard=unmap,cache.no-flush=off,"));
    EXPECT_THAT(text, HasSubstr("virtio-blk-device,bus=virtio-mmio-bus.1,drive=image-0,"));
    EXPECT_THAT(text, HasSubstr("-device virtio-scsi-device,bus=virtio-mmio-bus.7,id=scsi -add-fd fd=8,set=2 "));
    EXPECT_THAT(text, HasSubstr("-device scsi-hd,bus=scsi.0,drive=image-1,serial=image-1,werror=report,rerror=report"));
    EXPECT_THAT(text, HasSubstr("-device scsi-hd,bus=scsi.0,drive=storage-0,"));
    EXPECT_EQ(text.find("virtio-scsi-device"), text.rfind("virtio-scsi-device"));
}

TEST(CommandLine, SharesAFolderWhoseNameHasAComma) {
    vm::Machine with_share = machine();
    with_share.share = vm::Share{.folder = "/w/a,b"};
    EXPECT_THAT(line(with_share), HasSubstr("-fsdev local,id=share,path=/w/a,,b,security_model=mapped-xattr,multidevs=remap "
                                            "-device virtio-9p-device,bus=virtio-mmio-bus.3,fsdev=share,mount_tag=volumes"));
}

TEST(CommandLine, ConnectsCardsByDescriptor) {
    vm::Machine with_cards = machine();
    with_cards.cards[0] = {.kind = vm::Card::Kind::udp, .socket = {}};
    with_cards.cards[1] = {.kind = vm::Card::Kind::tcp, .socket = {}};
    const std::string text = line(with_cards);
    EXPECT_THAT(text, HasSubstr("-netdev dgram,id=card0,local.type=fd,local.str=10 "
                                "-device virtio-net-device,bus=virtio-mmio-bus.4,netdev=card0,mac=90:13:00:00:00:01"));
    EXPECT_THAT(text, HasSubstr("-netdev stream,id=card1,addr.type=fd,addr.str=11 "
                                "-device virtio-net-device,bus=virtio-mmio-bus.5,netdev=card1,mac=90:13:00:00:00:02"));
}

TEST(CommandLine, IsAQ35WithoutPlaceholdersAndBalloonForPciDevices) {
    vm::Machine pci = machine();
    add_disk(pci, "image0", true);
    add_disk(pci, "storage0", false);
    add_disk(pci, "nvidia-files", true);
    pci.share = vm::Share{.folder = "/w"};
    pci.cards[0] = {.kind = vm::Card::Kind::udp, .socket = {}};
    pci.pci_devices = {{.options = "vfio-pci,host=0000:01:00.0", .files = {"/dev/vfio/12"}}, {.options = "edu"}};
    const std::string text = line(pci);
    EXPECT_THAT(text, HasSubstr("-M q35,usb=off,sata=off,smbus=off,vmport=off,graphics=off,memory-backend=memory "));
    EXPECT_THAT(text, HasSubstr("-device virtio-serial-pci,bus=pcie.0,addr=0x1,id=ports,max_ports=2 "));
    EXPECT_THAT(text, HasSubstr("-device virtio-blk-pci,bus=pcie.0,addr=0x2,drive=image0,serial=image0,"));
    EXPECT_THAT(text, HasSubstr("-device virtio-blk-pci,bus=pcie.0,addr=0x3,drive=storage0,"));
    EXPECT_THAT(text, HasSubstr("-device virtio-9p-pci,bus=pcie.0,addr=0x4,fsdev=share,mount_tag=volumes"));
    EXPECT_THAT(text, HasSubstr("-device virtio-net-pci,bus=pcie.0,addr=0x5,romfile=,netdev=card0,mac=90:13:00:00:00:01"));
    EXPECT_THAT(text, HasSubstr("-device virtio-scsi-pci,bus=pcie.0,addr=0x8,id=scsi "));
    EXPECT_THAT(text, testing::EndsWith(" -device vfio-pci,host=0000:01:00.0 -device edu"));
    for (const char* none : {"balloon", "mmio", "null-co", "microvm"})
        EXPECT_THAT(text, Not(HasSubstr(none)));
    EXPECT_THROW(line(pci, vm::StartMode::restore), base::Error);
}

void expect_refused(const vm::Machine& machine, const char* why) {
    try {
        vm::command_line(machine, {}, vm::StartMode::boot);
        ADD_FAILURE() << why;
    } catch (const base::Error& e) {
        EXPECT_STREQ(e.what(), why);
    }
}

TEST(CommandLine, RefusesWhatBreaksTheLimits) {
    vm::Machine small = machine();
    small.memory_bytes = 10 << 20;
    expect_refused(small, "a VM needs at least 64 MiB of memory; it was given 10 MiB");
    vm::Machine odd = machine();
    odd.memory_bytes++;
    expect_refused(odd, "a VM's memory is a whole number of MiB");
    vm::Machine no_core = machine();
    no_core.cores = 0;
    expect_refused(no_core, "a VM needs a CPU core");
    vm::Machine comma = machine();
    add_disk(comma, "a,readonly=off", true);
    expect_refused(comma, "not a name that a device can have: \"a,readonly=off\"");
    vm::Machine disks = machine();
    for (int i = 0; i < 33; i++)
        add_disk(disks, "d", true);
    expect_refused(disks, "a VM can have 32 disks");
}

}  // namespace
