#pragma once

#include <cstdint>
#include <string>

#include "runtime/host/host.h"
#include "vm/machine.h"

namespace runtime {

// A PCI device of the host that a VM can have (--pci-device).
struct HostDevice {
    std::string address;  // "0000:01:00.0"
    std::string group;    // the number of its IOMMU group
    bool gpu = false;     // of the class of display controllers
};

// The device at BUS:DEV.FN, in hexadecimal, with or without DOMAIN: in front. Throws base::Error that says what to do where there is none,
// it cannot be given to a VM (IOMMU off, another driver has it or one of its IOMMU group), or we may not (its file in /dev/vfio).
HostDevice find_host_device(const Host& host, const std::string& text);

// What QEMU makes of it.
vm::PciDevice passed_through(const HostDevice& device);

}  // namespace runtime
