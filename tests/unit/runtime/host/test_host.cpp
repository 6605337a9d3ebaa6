#include "runtime/host/host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <map>

#include "base/error.h"
#include "base/temporary_folder.h"
#include "runtime/host/limits.h"

namespace {

namespace fs = std::filesystem;
using runtime::CpuidRegisters;
using testing::HasSubstr;

// A machine of files and CPUID leaves of our own.
class HostTest : public testing::Test {
protected:
    void write(const std::string& path, const std::string& text) {
        fs::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path) << text;
    }
    // "" of no hypervisor at all.
    void cpu(bool virtualization, const std::string& hypervisor) {
        leaves_[1].ecx = (virtualization ? 1U << 5 : 0) | (hypervisor.empty() ? 0 : 1U << 31);
        std::array<uint32_t, 3> words{};
        std::memcpy(words.data(), hypervisor.data(), std::min(hypervisor.size(), sizeof words));
        leaves_[0x40000000] = {0x40000001, words[0], words[1], words[2]};
    }
    runtime::Host host() const {
        return {.cpuid =
                    [leaves = leaves_](uint32_t leaf, uint32_t) {
                        const auto found = leaves.find(leaf);
                        return found == leaves.end() ? CpuidRegisters{} : found->second;
                    },
                .root = root_};
    }

    const base::TemporaryFolder folder_;
    const fs::path root_ = folder_.path();
    std::map<uint32_t, CpuidRegisters> leaves_;
};

TEST_F(HostTest, SaysWhichHypervisorHasSwitchedVirtualizationOff) {
    for (const auto& [signature, said] : std::map<std::string, std::string>{
             {"VBoxVBoxVBox", "a VM of VirtualBox, which has switched the CPU's virtualization off for it: .*VBoxManage modifyvm"},
             {"XenVMMXenVMM", "a VM of Xen, .*nestedhvm=1"},
             {std::string("KVMKVMKVM\0\0\0", 12), "a VM of KVM, .*nested=1"},
             {"Microsoft Hv", "a VM of Hyper-V, .*ExposeVirtualizationExtensions"},
             {"VMwareVMware", "a VM of VMware, "},
             {"whoeverelse!", "a VM of a hypervisor that is not known here, "},
         }) {
        cpu(false, signature);
        EXPECT_THAT(runtime::why_no_kvm(host()), testing::ContainsRegex("this machine is " + said));
    }
}

TEST_F(HostTest, SaysWhyARealMachineHasNoKvm) {
    cpu(false, "");
    EXPECT_THAT(runtime::why_no_kvm(host()), HasSubstr("this CPU has no virtualization"));
    cpu(true, "");
    write("proc/cpuinfo", "flags\t\t: fpu vme vmxnet\n");
    EXPECT_THAT(runtime::why_no_kvm(host()), HasSubstr("off in the firmware"));
    write("proc/cpuinfo", "flags\t\t: fpu vme vmx\n");
    EXPECT_THAT(runtime::why_no_kvm(host()), HasSubstr("modprobe kvm_intel, or kvm_amd"));
    leaves_[1].ecx = 0;
    leaves_[0x80000001].ecx = 1 << 2;  // AMD's
    write("proc/cpuinfo", "flags\t\t: fpu svm\n");
    EXPECT_THAT(runtime::why_no_kvm(host()), HasSubstr("modprobe"));
    write("run/.containerenv", "");
    EXPECT_THAT(runtime::why_no_kvm(host()), HasSubstr("this container was started without it: docker run --device /dev/kvm"));
    write("proc/xen/capabilities", "control_d\n");
    EXPECT_THAT(runtime::why_no_kvm(host()), HasSubstr("boot it without Xen"));
}

TEST_F(HostTest, SaysWhyNoGuestRuns) {
    cpu(true, "VBoxVBoxVBox");
    EXPECT_THAT(runtime::why_no_guest(host(), "x"), HasSubstr("a VM of VirtualBox, and its nested virtualization does not work: "));
    write("sys/module/kvm_intel/parameters/ept", "Y\n");
    write("sys/module/kvm_intel/parameters/unrestricted_guest", "N\n");
    EXPECT_THAT(runtime::why_no_guest(host(), "x"), HasSubstr("lacks a feature of the CPU (unrestricted_guest): "));
    cpu(true, "");
    EXPECT_THAT(runtime::why_no_guest(host(), "x"), HasSubstr("runs without unrestricted_guest"));
    write("sys/module/kvm_intel/parameters/unrestricted_guest", "Y\n");
    EXPECT_THAT(runtime::why_no_guest(host(), "x"), HasSubstr("dmesg"));
    EXPECT_THAT(runtime::why_no_guest(host(), "QEMU: ioctl(KVM_CREATE_VM) failed: 16 Device or resource busy"),
                HasSubstr("another hypervisor on this machine, such as VirtualBox"));
    write("proc/xen/capabilities", "control_d\n");
    EXPECT_THAT(runtime::why_no_guest(host(), "x"), HasSubstr("boot it without Xen"));
}

TEST_F(HostTest, AvailableMemoryIsTheHosts) {
    EXPECT_GT(runtime::available_memory({}), 1U << 20);
    write("proc/meminfo", "MemTotal:       2000 kB\nMemAvailable:    1000 kB\n");
    EXPECT_EQ(runtime::available_memory(host()), 1000U << 10);
}

TEST_F(HostTest, AvailableMemoryIsWhatTheCgroupsLeave) {
    write("proc/meminfo", "MemAvailable:    1000 kB\n");
    write("proc/self/cgroup", "4:cpu,memoryless:/x\n0::/outer/inner\n");
    write("sys/fs/cgroup/outer/inner/memory.max", "max\n");
    write("sys/fs/cgroup/outer/inner/memory.current", "100\n");
    EXPECT_EQ(runtime::available_memory(host()), 1000U << 10);
    write("sys/fs/cgroup/outer/memory.max", "5000\n");
    write("sys/fs/cgroup/outer/memory.current", "4000\n");
    EXPECT_EQ(runtime::available_memory(host()), 1000U);
    write("sys/fs/cgroup/outer/memory.stat", "anon 10\ninactive_file 300\nactive_file 7\nshmem 1\n");
    EXPECT_EQ(runtime::available_memory(host()), 1307U);
    write("sys/fs/cgroup/outer/memory.current", "6000\n");
    EXPECT_EQ(runtime::available_memory(host()), 0U);
}

TEST_F(HostTest, AvailableMemoryWithTheOldHierarchy) {
    write("proc/meminfo", "MemAvailable:    1000 kB\n");
    write("proc/self/cgroup", "4:memory:/a\n0::/\n");
    write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "900\n");
    write("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "500\n");
    write("sys/fs/cgroup/memory/a/memory.stat", "total_inactive_file 50\n");
    EXPECT_EQ(runtime::available_memory(host()), 450U);
}

// The limits are set in a child: a hard one cannot be raised again.
TEST_F(HostTest, RaisesTheLimitOfDescriptors) {
    const auto with_limit = [](rlim_t soft, rlim_t hard) {
        const pid_t pid = ::fork();
        if (pid == 0) {
            const rlimit limit{.rlim_cur = soft, .rlim_max = hard};
            rlimit after{};
            int code = 2;
            try {
                if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) runtime::raise_descriptor_limit();
                if (::getrlimit(RLIMIT_NOFILE, &after) == 0) code = after.rlim_cur == hard ? 0 : 1;
            } catch (const base::Error& e) {
                code = std::string(e.what()).starts_with("too few file descriptors: this process may open 511 files ") ? 3 : 4;
            }
            ::_exit(code);
        }
        int status = 0;
        EXPECT_EQ(::waitpid(pid, &status, 0), pid);
        return WEXITSTATUS(status);
    };
    EXPECT_EQ(with_limit(100, 600), 0);
    EXPECT_EQ(with_limit(100, 511), 3);
}

}  // namespace
