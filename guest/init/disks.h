#pragma once

#include <string>

#include "init/status.h"

namespace init {

// Binds the driver to every virtio-mmio slot that has none. An empty slot refuses.
Status bind_slots();

// The device node ("/dev/vda") of the disk with this serial, virtio-blk or SCSI. Waits at most 5 s for a disk that is being probed.
Result<std::string> find_disk(const std::string& serial);

// Takes a virtio device away from its driver; `device` is sysfs's link to it.
Status unbind(const std::string& driver, const std::string& device);

// Removes the placeholder of the writable disk where the VM has no such disk.
Status remove_placeholder_disk();

}  // namespace init
