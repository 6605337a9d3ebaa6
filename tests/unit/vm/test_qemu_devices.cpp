// Our QEMU against command_line(): what VMs use is there, and nothing else that a guest could be given.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "base/subprocess.h"
#include "vm/command_line.h"

namespace {

using Names = std::set<std::string>;
using testing::HasSubstr;

vm::Machine machine_with_everything() {
    vm::Machine machine;
    machine.memory_bytes = 64 << 20;
    machine.kernel = "/vmlinux";
    machine.initramfs = "/initramfs";
    for (const char* serial : {"a", "b", "c", "d"})
        machine.disks.push_back({.file = {}, .serial = serial, .read_only = serial[0] < 'c'});
    machine.share = vm::Share{.folder = "/w"};
    for (auto& card : machine.cards)
        card = {.kind = vm::Card::Kind::udp, .socket = {}};
    return machine;
}

// The devices that command_line() can name.
Names named_devices() {
    std::vector<vm::Machine> machines(2);
    machines[0] = machine_with_everything();
    machines[1] = machine_with_everything();
    machines[1].pci_devices = {{.options = "vfio-pci,host=0000:01:00.0"}};
    Names names;
    for (const vm::Machine& machine : machines) {
        const auto arguments = vm::command_line(machine, {.disks = {0, 0, 0, 0}, .cards = {0, 0}}, vm::StartMode::boot);
        for (size_t i = 1; i < arguments.size(); i++) {
            if (arguments[i - 1] == "-device") names.insert(arguments[i].substr(0, arguments[i].find(',')));
        }
    }
    return names;
}

std::string qemu(const std::vector<std::string>& arguments) {
    std::vector<std::string> argv{GVMKIT_QEMU};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return base::run(argv).output;
}

// The devices but for CPU models, which a guest is not given by -device.
Names offered_devices() {
    const std::string text = qemu({"-M", "none", "-device", "help"});
    static const std::regex line(R"re(name "([^"]+)")re");
    Names names;
    for (std::sregex_iterator found(text.begin(), text.end(), line), end; found != end; ++found) {
        const std::string name = (*found)[1];
        if (!name.ends_with("-x86_64-cpu")) names.insert(name);
    }
    return names;
}

class QemuDevices : public testing::Test {
protected:
    void SetUp() override {
        if (!vm::find_qemu(GVMKIT_QEMU).is_ours())
            GTEST_SKIP() << "this build uses the system's QEMU, since the source of ours could not be had";
    }
};

TEST_F(QemuDevices, AreThoseThatVmsUse) {
    Names expected = named_devices();
    // What the boards consist of, and what the source files of the SCSI disk, the serial ports and vfio also define.
    expected.insert({"acpi-erst", "i8042", "ich9-ahci", "ide-cd", "ide-hd", "isa-serial", "mc146818rtc", "pc-dimm", "ramfb", "vmclock",
                     "vmcoreinfo", "vmgenid", "scsi-block", "scsi-cd", "scsi-generic", "vfio-pci-nohotplug", "virtconsole",
                     "virtio-balloon-pci"});
    for (const char* kind : {"9p", "balloon", "blk", "net", "scsi", "serial"}) {
        for (const char* variant : {"transitional", "non-transitional"})
            expected.insert(std::string("virtio-") + kind + "-pci-" + variant);
    }
    EXPECT_EQ(offered_devices(), expected);
}

TEST_F(QemuDevices, IncludeNoOther) {
    for (const char* device :
         {"edu", "e1000", "qemu-xhci", "VGA", "virtio-gpu-pci", "virtio-rng-device", "vhost-vsock-pci", "nvme", "ivshmem-plain"})
        EXPECT_THAT(qemu({"-M", "none", "-nodefaults", "-nographic", "-device", device}), HasSubstr("is not a valid device model name"));
    EXPECT_THAT(qemu({"-M", "pc", "-nographic"}), HasSubstr("unsupported machine type: \"pc\""));
    EXPECT_THAT(qemu({"-M", "none", "-netdev", "user,id=x"}), HasSubstr("network backend 'user' is not compiled into this binary"));
    EXPECT_EQ(qemu({"-M", "none", "-nodefaults", "-display", "help"}).substr(0, 37), "Available display backend types:\nnone");
}

}  // namespace
