#pragma once

#include <string>

#include "init/status.h"

namespace init {

// Gives every virtio-mmio slot that has no driver to its driver. An empty slot refuses.
Status bind_slots();

// The device node ("/dev/vda") of the disk with this serial, virtio-blk's or SCSI's. A disk that is being probed is waited for, at most 5
// s.
Result<std::string> find_disk(const std::string& serial);

// Takes a virtio device away from its driver; `device` is sysfs's link to it.
Status unbind(const std::string& driver, const std::string& device);

// Takes away the disk that stands for a writable one where the VM has none; nothing happens where it has one.
Status remove_placeholder_disk();

}  // namespace init
