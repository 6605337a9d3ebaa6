// A q35 with PCI devices. There is no GPU here: emulated devices stand in for it, which take the same way but for vfio itself.
#include "guest_fixture.h"

namespace guest_test {
namespace {

constexpr const char* kQemu = "qemu-system-x86_64";  // the system's, since ours has no devices but those that VMs use

TEST_F(Guest, APciMachineHasItsDevicesAndAllElse) {
    VmOptions wanted = options();
    wanted.qemu = kQemu;
    wanted.cores = 2;
    wanted.pci_devices = {{.options = "edu"}, {.options = "secondary-vga"}};
    const auto [ours, theirs] = base::socket_pair();
    wanted.cards[0] = vm::Card{.kind = vm::Card::Kind::tcp, .socket = base::copy_of(theirs)};
    wanted.disks.push_back({make_disk("pci-root", "64M"), "root", false});
    wanted.disks.push_back({make_disk("pci-storage", "16M"), "storage0", false});
    wanted.share = work_ / "pci-share";
    fs::create_directories(*wanted.share / "volume");
    std::ofstream(*wanted.share / "volume/host") << "from the host";
    GuestVm vm(std::move(wanted));
    agent::Setup setup = GuestVm::setup();
    setup.set_root_disk("root");
    setup.set_share(vm::kShareTag);
    agent::Volume& shared = *setup.add_volumes();
    shared.set_path("/shared");
    shared.set_shared("volume");
    agent::Volume& storage = *setup.add_volumes();
    storage.set_path("/storage");
    storage.set_disk("storage0");
    agent::Card& card = *setup.add_cards();
    card.set_mac(vm::card_mac(0));
    card.set_name("eth0");
    vm.set_up(setup);
    // QEMU's edu device is 1234:11e8, its VGA card 1234:1111.
    EXPECT_EQ(vm.sh("cd /sys/bus/pci/devices && cat */device | grep -c -e 0x11e8 -e 0x1111")->out, "2\n");
    EXPECT_EQ(vm.sh("cat /shared/host; echo guest > /shared/guest; echo a > /storage/a; echo b > /b && cat /storage/a /b")->out,
              "from the hosta\nb\n");
    EXPECT_TRUE(fs::exists(work_ / "pci-share/volume/guest"));
    EXPECT_EQ(vm.sh("grep -c ^processor /proc/cpuinfo")->out, "2\n");
    EXPECT_EQ(vm.sh("ls /dev/nvidia* 2> /dev/null; ls /sys/class/net")->out, "eth0\nlo\n");
}

// With a device that ours has in place of the host's.
TEST_F(Guest, APciMachineRunsOnOurQemu) {
    VmOptions wanted = options();
    wanted.pci_devices = {{.options = "virtio-balloon-pci"}};
    wanted.disks.push_back({make_disk("own-root", "64M"), "root", false});
    wanted.disks.push_back({make_disk("own-storage", "16M"), "storage0", false});
    GuestVm vm(std::move(wanted));
    agent::Setup setup = GuestVm::setup();
    setup.set_root_disk("root");
    agent::Volume& storage = *setup.add_volumes();
    storage.set_path("/storage");
    storage.set_disk("storage0");
    vm.set_up(setup);
    EXPECT_EQ(vm.sh("echo a > /storage/a && sync && cat /storage/a")->out, "a\n");
    EXPECT_THAT(vm.sh("cat /sys/bus/pci/devices/*/device")->out, HasSubstr("0x1002"));  // the balloon
}

// What stands for a provider's nvidia-files.squashfs: a program, and a module that is none.
TEST_F(Guest, ADriversFilesLieOverTheImage) {
    const fs::path tree = work_ / "driver";
    fs::create_directories(tree / "usr/bin");
    std::ofstream(tree / "usr/bin/tool") << "#!/bin/sh\necho tool\n";
    fs::permissions(tree / "usr/bin/tool", fs::perms(0755));
    std::ofstream(tree / "nvidia.ko") << "no module";
    fs::create_directories(tree / "data");  // as pack has it
    pack("driver", tree);
    VmOptions wanted = options();
    wanted.qemu = kQemu;
    wanted.pci_devices = {{.options = "edu"}};
    wanted.disks.push_back({image("driver"), "nvidia-files", true});
    GuestVm vm(std::move(wanted));
    agent::Setup setup = GuestVm::setup();
    setup.set_driver_files("nvidia-files");
    vm.set_up(setup);
    EXPECT_EQ(vm.sh("tool; cat /data/hidden")->out, "tool\nthe image's\n");
    EXPECT_THAT(vm.log(), HasSubstr("cannot load the kernel module /driver/nvidia.ko: Exec format error"));
}

class GuestSelfTest : public Guest {
protected:
    // What the self-test image prints in a VM that has what it looks for, and these devices and disks.
    static std::string says(VmOptions wanted, agent::Setup setup) {
        wanted.disks.insert(wanted.disks.begin(), {fs::path(GVMKIT_RUNTIME) / "self-test.gvmi", "image", true});
        wanted.disks.push_back({make_disk("self-test", "16M"), "storage0", false});
        wanted.share = work_ / "self-test-share";
        fs::create_directories(*wanted.share / "volume");
        std::ofstream(*wanted.share / "volume/host") << "from the host";
        GuestVm vm(std::move(wanted));
        setup.set_share(vm::kShareTag);
        for (const char* path : {"/golem/volume", "/golem/storage", "/golem/ram"})
            setup.add_volumes()->set_path(path);
        setup.mutable_volumes(0)->set_shared("volume");
        setup.mutable_volumes(1)->set_disk("storage0");
        setup.mutable_volumes(2)->set_ram(1 << 20);
        vm.set_up(setup);
        const auto process = vm.run({"/self-test"});
        EXPECT_EQ(process->err, "");
        EXPECT_EQ(process->exited->code(), 0);
        return process->out;
    }
};

TEST_F(GuestSelfTest, TellsTheNumbersOfAGpuWithoutADriver) {
    VmOptions wanted;
    wanted.qemu = kQemu;
    wanted.pci_devices = {{.options = "secondary-vga"}};
    EXPECT_EQ(says(std::move(wanted), GuestVm::setup()), "{\"gpu\":{\"model\":\"PCI device 1234:1111\"}}\n");
}

// A script stands for the driver's program; tests/unit/guest/test_gpu.cpp has what the real one prints.
TEST_F(GuestSelfTest, TellsWhatTheDriversProgramSaysOfAGpu) {
    const fs::path tree = work_ / "smi";
    for (const char* folder : {"bin", "usr/bin", "data"})
        fs::create_directories(tree / folder);
    fs::copy_file("/bin/busybox", tree / "bin/busybox");
    fs::create_symlink("busybox", tree / "bin/sh");
    std::ofstream(tree / "usr/bin/nvidia-smi") << R"(#!/bin/sh
case "$*" in
  -q) printf 'CUDA Version : 12.2\nGPU 00000000:00:1E.0\n  Product Name : NVIDIA A10G\n  FB Memory Usage\n    Total : 23028 MiB\n' ;;
  "--query-gpu=compute_cap --format=csv,noheader") echo 8.6 ;;
  *) exit 2 ;;
esac
)";
    fs::permissions(tree / "usr/bin/nvidia-smi", fs::perms(0755));
    pack("smi", tree);
    VmOptions wanted;
    wanted.disks.push_back({image("smi"), "nvidia-files", true});
    agent::Setup setup = GuestVm::setup();
    setup.set_driver_files("nvidia-files");
    EXPECT_EQ(says(std::move(wanted), std::move(setup)),
              "{\"gpu\":{\"model\":\"NVIDIA A10G\",\"cuda\":{\"enabled\":true,\"version\":\"12.2\",\"compute-capability\":\"8.6\"},"
              "\"memory\":{\"total.gib\":22.49}}}\n");
}

}  // namespace
}  // namespace guest_test
