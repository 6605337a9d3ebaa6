#include "runtime/host/pci.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "base/temporary_folder.h"
#include "runtime/host/limits.h"

namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// A host of files: a GPU and its sound device in IOMMU group 12 below a bridge of the same group.
class PciTest : public testing::Test {
protected:
    void SetUp() override {
        host_.root = folder_.path();
        device("0000:00:01.0", "0x060400", "pcieport");
        device("0000:01:00.0", "0x030000", "vfio-pci");
        device("0000:01:00.1", "0x040300", "vfio-pci");
        fs::create_directories(host_.root / "dev/vfio");
        for (const char* file : {"vfio", "12"})
            std::ofstream(host_.root / "dev/vfio" / file) << "";
    }

    fs::path path(const std::string& address) const { return host_.root / "sys/bus/pci/devices" / address; }

    void device(const std::string& address, const char* kind, const std::string& driver) {
        fs::create_directories(path(address));
        std::ofstream(path(address) / "class") << kind << "\n";
        set_driver(address, driver);
        fs::create_directories(host_.root / "sys/kernel/iommu_groups/12/devices");
        fs::create_symlink("../../../../kernel/iommu_groups/12", path(address) / "iommu_group");
        fs::create_symlink("../../../../bus/pci/devices/" + address, host_.root / "sys/kernel/iommu_groups/12/devices" / address);
    }
    void set_driver(const std::string& address, const std::string& driver) {
        fs::remove(path(address) / "driver");
        if (!driver.empty()) fs::create_symlink("../../../../bus/pci/drivers/" + driver, path(address) / "driver");
    }
    void expect_refused(const std::string& text, const std::string& why) {
        try {
            (void)runtime::find_host_device(host_, text);
            ADD_FAILURE() << why;
        } catch (const base::Error& e) {
            EXPECT_THAT(e.what(), testing::StartsWith("the VM cannot have the PCI device " + text + ": "));
            EXPECT_THAT(e.what(), HasSubstr(why));
        }
    }

    const base::TemporaryFolder folder_;
    runtime::Host host_;
};

TEST_F(PciTest, GivesTheVmADeviceWhoseGroupIsVfios) {
    for (const char* address : {"01:00.0", "0000:01:00.0", "1:0.0"}) {
        const runtime::HostDevice found = runtime::find_host_device(host_, address);
        EXPECT_EQ(found.address, "0000:01:00.0");
        EXPECT_EQ(found.group, "12");
        EXPECT_TRUE(found.gpu);
        const vm::PciDevice passed = runtime::passed_through(found);
        EXPECT_EQ(passed.options, "vfio-pci,host=0000:01:00.0");
        EXPECT_THAT(passed.files, testing::ElementsAre("/dev/vfio/vfio", "/dev/vfio/12"));
    }
    EXPECT_FALSE(runtime::find_host_device(host_, "01:00.1").gpu);
    set_driver("0000:01:00.1", "");
    EXPECT_EQ(runtime::find_host_device(host_, "01:00.0").group, "12") << "a device that nobody has does no harm";
}

TEST_F(PciTest, RefusesWhatIsNoAddress) {
    for (const char* text : {"", "01", "01:00", "01:00.8", "g1:00.0", "01:00.0,x-igd-opregion=on", "1:2:3:4.0", " 01:00.0", "../01:00.0"})
        expect_refused(text, "a PCI address is BUS:DEVICE.FUNCTION");
}

TEST_F(PciTest, SaysWhatADeviceLacks) {
    expect_refused("02:00.0", "this host has no such device (lspci -D lists them)");
    set_driver("0000:01:00.0", "nvidia");
    expect_refused("01:00.0", "the host's driver nvidia has it: give it to vfio-pci (sudo driverctl set-override 0000:01:00.0 vfio-pci)");
    set_driver("0000:01:00.0", "");
    expect_refused("01:00.0", ": give it to vfio-pci (");
    set_driver("0000:01:00.0", "vfio-pci");
    set_driver("0000:01:00.1", "snd_hda_intel");
    expect_refused("01:00.0",
                   "it shares the IOMMU group 12 with 0000:01:00.1, which the host's driver snd_hda_intel has: give it to vfio-pci "
                   "(sudo driverctl set-override 0000:01:00.1 vfio-pci)");
}

TEST_F(PciTest, SaysThatTheIommuIsOff) {
    fs::remove(path("0000:01:00.0") / "iommu_group");
    expect_refused("01:00.0", "the host's IOMMU is off: turn VT-d or AMD-Vi on in the firmware");
}

TEST_F(PciTest, SaysThatVfiosFilesAreMissingOrNotOurs) {
    fs::remove(host_.root / "dev/vfio/12");
    expect_refused("01:00.0", "/dev/vfio/12 is missing: load the kernel module vfio-pci");
    fs::remove(host_.root / "dev/vfio/vfio");
    expect_refused("01:00.0", "/dev/vfio/vfio is missing");
    if (::geteuid() == 0) GTEST_SKIP() << "root may open everything";
    std::ofstream(host_.root / "dev/vfio/vfio") << "";
    fs::permissions(host_.root / "dev/vfio/vfio", fs::perms::none);
    expect_refused("01:00.0", "/dev/vfio/vfio is not accessible to this user");
}

// In a child that has no right to lock what it likes. Returns what raise_lock_limit says, and the limit after it.
std::string in_child(rlim_t soft, rlim_t hard, uint64_t memory) {
    int pipe[2];
    EXPECT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        const rlimit limit{soft, hard};
        std::string said;
        if (::setrlimit(RLIMIT_MEMLOCK, &limit) < 0 || (::geteuid() == 0 && ::setuid(65534) < 0)) said = "the test cannot set its limits";
        try {
            if (said.empty()) runtime::raise_lock_limit(memory);
        } catch (const base::Error& e) {
            said = e.what();
        }
        rlimit now{};
        (void)::getrlimit(RLIMIT_MEMLOCK, &now);
        said += "; " + std::to_string(now.rlim_cur);
        _exit(::write(pipe[1], said.data(), said.size()) < 0);
    }
    ::close(pipe[1]);
    std::string text(4096, '\0');
    text.resize(static_cast<size_t>(std::max<ssize_t>(0, ::read(pipe[0], text.data(), text.size()))));
    ::close(pipe[0]);
    EXPECT_EQ(::waitpid(child, nullptr, 0), child);
    return text;
}

TEST(LockLimit, IsRaisedAsFarAsItMayBeOrSaysWhatToDo) {
    EXPECT_EQ(in_child(64 << 10, 1 << 20, 256 << 20),
              "a VM with a PCI device needs 260.0 MiB of locked memory and this process may lock 1.0 MiB: raise the limit (memlock in "
              "/etc/security/limits.conf, LimitMEMLOCK= in a systemd unit), or give the VM less memory; 65536");
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    if (limit.rlim_max < (5 << 20)) GTEST_SKIP() << "the limit here is too low to raise one";
    const rlim_t hard = std::min<rlim_t>(limit.rlim_max, 6 << 20);
    EXPECT_EQ(in_child(64 << 10, hard, 1 << 20), "; " + std::to_string(hard));
}

}  // namespace
