#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "init/status.h"

namespace init {

// Drivers of PCI devices that come with the provider (docs/spec/exe-unit.md, GPUs); in a VM without PCI these do nothing.

// Where the initramfs has the driver's files mounted, if there are any.
constexpr const char* kDriverFolder = "/driver";

// Loads the kernel modules (*.ko) that lie in the initramfs and in the driver's folder, at the top or in lib/modules of this kernel, in an
// order that they can be loaded in. Returns a line for each that the kernel refused.
std::vector<std::string> load_modules();

struct Node {
    std::string name;  // in /dev
    unsigned major = 0;
    unsigned minor = 0;
    bool operator==(const Node&) const = default;
};

// NVIDIA's device nodes for `gpus` GPUs; `devices` is /proc/devices. Empty where no such driver is there.
std::vector<Node> nvidia_nodes(std::string_view devices, unsigned gpus);

// Makes them, 0666, in the new root's /dev.
Status make_nvidia_nodes(int root);

}  // namespace init
