#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "init/status.h"

namespace init {

// Drivers of PCI devices that come from the provider (docs/spec/exe-unit.md, GPUs). In a VM without PCI these functions do nothing.

// Where the initramfs has the driver's files mounted, if there are any.
constexpr const char* kDriverFolder = "/driver";

// Loads the kernel modules (*.ko) in the initramfs and in the driver's folder, at the top or in lib/modules of this kernel, in an order
// that satisfies their dependencies. Returns a line for each one that the kernel refused.
std::vector<std::string> load_modules();

struct Node {
    std::string name;  // in /dev
    unsigned major = 0;
    unsigned minor = 0;
    bool operator==(const Node&) const = default;
};

// NVIDIA's device nodes for `gpus` GPUs; `devices` is the text of /proc/devices. Empty without such a driver.
std::vector<Node> nvidia_nodes(std::string_view devices, unsigned gpus);

// Makes them, 0666, in the new root's /dev.
Status make_nvidia_nodes(int root);

}  // namespace init
