#include "runtime/host/host.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace runtime {
namespace {

namespace fs = std::filesystem;

constexpr size_t kTextLimit = 4 << 20;  // /proc/cpuinfo has some 1.5 KiB for each of perhaps a thousand CPUs

struct Hypervisor {
    std::string_view signature;  // CPUID 0x40000000
    std::string_view name;
    std::string_view remedy;
};

constexpr std::array<Hypervisor, 8> kHypervisors{{
    {"KVMKVMKVM", "KVM",
     "on its host load kvm_intel or kvm_amd with nested=1 and give the VM the host's CPU (-cpu host, libvirt: host-passthrough)"},
    {"TCGTCGTCGTCG", "QEMU without KVM", "use a machine with real virtualization"},
    {"VBoxVBoxVBox", "VirtualBox", "on its host, with the VM off: VBoxManage modifyvm NAME --nested-hw-virt on"},
    {"XenVMMXenVMM", "Xen", "say nestedhvm=1 in the domain's configuration, or use a machine without Xen"},
    {"Microsoft Hv", "Hyper-V", "on its host, with the VM off: Set-VMProcessor -VMName NAME -ExposeVirtualizationExtensions $true"},
    {"VMwareVMware", "VMware", "turn on \"Virtualize Intel VT-x/EPT or AMD-V/RVI\" in the VM's settings"},
    {" lrpepyh vr", "Parallels", "turn nested virtualization on in the VM's settings"},
    {"bhyve bhyve ", "bhyve", "it has no nested virtualization: use another machine"},
}};
constexpr Hypervisor kUnknown{"", "a hypervisor that is not known here", "turn nested virtualization on where it is managed"};

bool has_word(const std::string& text, std::string_view word) {
    std::istringstream words(text);
    for (std::string found; words >> found;) {
        if (found == word) return true;
    }
    return false;
}

// None: as far as CPUID says, this is no VM.
const Hypervisor* hypervisor_of(const Cpuid& cpuid) {
    constexpr uint32_t kLeaf = 0x40000000;
    if ((cpuid(1, 0).ecx >> 31 & 1) == 0) return nullptr;
    const CpuidRegisters registers = cpuid(kLeaf, 0);
    std::string signature;
    for (const uint32_t bytes : {registers.ebx, registers.ecx, registers.edx})
        add_text(signature, bytes);
    const auto* found =
        std::find_if(kHypervisors.begin(), kHypervisors.end(), [&](const Hypervisor& h) { return h.signature == signature; });
    return found == kHypervisors.end() ? &kUnknown : found;
}

bool cpu_has_virtualization(const Cpuid& cpuid) {
    constexpr uint32_t kAmdFeatures = 0x80000001;
    return (cpuid(1, 0).ecx >> 5 & 1) != 0 || (cpuid(kAmdFeatures, 0).ecx >> 2 & 1) != 0;  // VMX, SVM
}

bool kernel_may_use_virtualization(const Host& host) {
    const std::string cpuinfo = host_text(host, "proc/cpuinfo");
    return cpuinfo.empty() || has_word(cpuinfo, "vmx") || has_word(cpuinfo, "svm");
}

bool is_xen_dom0(const Host& host) {
    return host_text(host, "proc/xen/capabilities").find("control_d") != std::string::npos;
}

bool is_container(const Host& host) {
    for (const char* mark : {".dockerenv", "run/.containerenv", "run/systemd/container", "run/host/container-manager"}) {
        if (fs::exists(host.root / mark)) return true;
    }
    return false;
}

// The KVM module's parameter that shows that it has no nested paging, or cannot run real mode, as some hypervisors leave it; empty: none.
std::string missing_feature(const Host& host) {
    for (const char* parameter : {"kvm_intel/parameters/ept", "kvm_intel/parameters/unrestricted_guest", "kvm_amd/parameters/npt"}) {
        const std::string value = host_text(host, fs::path("sys/module") / parameter);
        if (value.starts_with('N') || value.starts_with('0')) return fs::path(parameter).filename();
    }
    return {};
}

constexpr const char* kXenDom0 = "this system is Xen's first domain, and Xen keeps the CPU's virtualization to itself: boot it without Xen";

}  // namespace

std::string host_text(const Host& host, const fs::path& path) {
    return base::read_file_if_any(host.root / path, kTextLimit);
}

std::string why_no_kvm(const Host& host) {
    if (is_xen_dom0(host)) return kXenDom0;
    const Hypervisor* hypervisor = hypervisor_of(host.cpuid);
    if (!cpu_has_virtualization(host.cpuid)) {
        if (!hypervisor) return "this CPU has no virtualization (VT-x, AMD-V): use another machine";
        return fmt::format("this machine is a VM of {}, which has switched the CPU's virtualization off for it: {}", hypervisor->name,
                           hypervisor->remedy);
    }
    if (!kernel_may_use_virtualization(host))
        return "virtualization is off in the firmware: turn VT-x (AMD: SVM) on there, and switch the machine off once";
    if (is_container(host)) return "this container was started without it: docker run --device /dev/kvm, or your engine's equivalent";
    return "the kernel's module is not loaded: modprobe kvm_intel, or kvm_amd; the kernel's log says why where that fails";
}

std::string why_no_guest(const Host& host, const std::string& error) {
    if (is_xen_dom0(host)) return kXenDom0;
    if (error.find("Device or resource busy") != std::string::npos) {
        return "another hypervisor on this machine, such as VirtualBox or VMware, uses the CPU's virtualization: end its VMs";
    }
    const std::string feature = missing_feature(host);
    const Hypervisor* hypervisor = hypervisor_of(host.cpuid);
    if (hypervisor) {
        const std::string lack = feature.empty() ? "does not work" : "lacks a feature of the CPU (" + feature + ")";
        return fmt::format("this machine is a VM of {}, and its nested virtualization {}: {}, or use a physical machine", hypervisor->name,
                           lack, hypervisor->remedy);
    }
    if (!feature.empty()) return fmt::format("the kernel's KVM module runs without {}: turn that on again", feature);
    return "the kernel's log may say more (dmesg)";
}

}  // namespace runtime
