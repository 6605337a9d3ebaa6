#include "runtime/host/pci.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <regex>

#include "base/error.h"
#include "base/fd.h"
#include "base/size.h"

namespace runtime {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDriver = "vfio-pci";
constexpr const char* kDevices = "sys/bus/pci/devices";
constexpr unsigned kDisplay = 0x03;  // classes, the first of their three bytes
constexpr unsigned kBridge = 0x06;

// "0000:01:00.0". Only hexadecimal digits can get into a path or QEMU's options.
std::string full_address(const std::string& text) {
    static const std::regex kForm("(?:([0-9a-fA-F]{1,4}):)?([0-9a-fA-F]{1,2}):([0-9a-fA-F]{1,2})\\.([0-7])");
    std::smatch parts;
    if (!std::regex_match(text, parts, kForm)) throw base::Error("a PCI address is BUS:DEVICE.FUNCTION, as 01:00.0 (lspci lists them)");
    const auto number = [&parts](size_t i) { return parts[i].matched ? std::stoul(parts[i].str(), nullptr, 16) : 0; };
    return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", number(1), number(2), number(3), number(4));
}

// The last name of a link in sysfs; empty where there is none.
std::string link_name(const fs::path& link) {
    std::error_code error;
    return fs::read_symlink(link, error).filename();
}

unsigned class_of(const fs::path& device) {
    unsigned number = 0;
    const std::string text = base::read_file(device / "class", 64);  // "0x030000"
    (void)std::sscanf(text.c_str(), "%x", &number);
    return number >> 16;
}

std::string bind_it(const std::string& address) {
    return fmt::format("give it to {} (sudo driverctl set-override {} {})", kDriver, address, kDriver);
}

// All devices of a group can reach each other's memory: the kernel gives a VM one only where no host driver uses another.
void check_group(const fs::path& devices, const HostDevice& device, const fs::path& group) {
    for (const auto& entry : fs::directory_iterator(group / "devices")) {
        const std::string address = entry.path().filename();
        const std::string driver = link_name(devices / address / "driver");
        if (driver == kDriver) continue;
        if (address == device.address)
            throw base::Error((driver.empty() ? "" : "the host's driver " + driver + " has it: ") + bind_it(address));
        if (driver.empty() || class_of(devices / address) == kBridge) continue;
        throw base::Error(
            fmt::format("it shares the IOMMU group {} with {}, which the host's driver {} has: {}, or put the card into another slot",
                        device.group, address, driver, bind_it(address)));
    }
}

void check_access(const Host& host, const HostDevice& device) {
    for (const std::string& name : {std::string("vfio"), device.group}) {
        const fs::path path = host.root / "dev/vfio" / name;
        if (::access(path.c_str(), R_OK | W_OK) == 0) continue;
        if (errno == ENOENT)
            throw base::Error(fmt::format("/dev/vfio/{} is missing: load the kernel module {} (modprobe {})", name, kDriver, kDriver));
        throw base::Error(
            fmt::format("/dev/vfio/{} is not accessible to this user: say SUBSYSTEM==\"vfio\", GROUP=\"kvm\", MODE=\"0660\" in a file of "
                        "/etc/udev/rules.d and be "
                        "in that group, or for now: sudo chown {} /dev/vfio/{}",
                        name, ::geteuid(), name));
    }
}

HostDevice find(const Host& host, const std::string& text) {
    HostDevice device;
    device.address = full_address(text);
    const fs::path devices = host.root / kDevices;
    const fs::path own = devices / device.address;
    std::error_code error;
    if (!fs::exists(own, error)) throw base::Error("this host has no such device (lspci -D lists them)");
    device.group = link_name(own / "iommu_group");
    if (device.group.empty()) {
        throw base::Error(
            "the host's IOMMU is off: turn VT-d or AMD-Vi on in the firmware, and boot the host's kernel with intel_iommu=on (Intel) or "
            "amd_iommu=on (AMD)");
    }
    device.gpu = class_of(own) == kDisplay;
    check_group(devices, device, own / "iommu_group");
    check_access(host, device);
    return device;
}

}  // namespace

HostDevice find_host_device(const Host& host, const std::string& text) {
    return base::with_context("the VM cannot have the PCI device " + text, [&] { return find(host, text); });
}

vm::PciDevice passed_through(const HostDevice& device) {
    return {.options = fmt::format("{},host={}", kDriver, device.address), .files = {"/dev/vfio/vfio", "/dev/vfio/" + device.group}};
}

}  // namespace runtime
