#pragma once

#include <string>

#include "init/status.h"

namespace init {

// Gives every virtio-mmio slot that has no driver to its driver: devices that came with a restored VM. An empty slot refuses.
Status bind_slots();

// The device node ("/dev/vda") of the disk with this serial, virtio-blk's or SCSI's. A disk that is being probed is waited for, at most 5
// s.
Result<std::string> find_disk(const std::string& serial);

}  // namespace init
