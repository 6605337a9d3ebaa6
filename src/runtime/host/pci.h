#pragma once

#include <cstdint>
#include <string>

#include "runtime/host/host.h"
#include "vm/machine.h"

namespace runtime {

// A PCI device of the host that a VM can use (--pci-device).
struct HostDevice {
    std::string address;  // "0000:01:00.0"
    std::string group;    // the number of its IOMMU group
    bool gpu = false;     // a display controller
};

// The device at BUS:DEV.FN, in hexadecimal, with or without DOMAIN: in front. Throws base::Error with a remedy where there is no such
// device, it cannot be given to a VM (IOMMU off, another driver uses it or one of its IOMMU group), or we lack access (its file in
// /dev/vfio).
HostDevice find_host_device(const Host& host, const std::string& text);

// QEMU's device for it.
vm::PciDevice passed_through(const HostDevice& device);

}  // namespace runtime
