#pragma once

#include <cstdint>

#include "runtime/host/host.h"

namespace runtime {

// Makes sure that QEMU, which inherits our limits, may open enough files, including those that a guest opens on its volumes. Throws
// base::Error where the hard limit is too low for a VM.
void raise_descriptor_limit();

// Bytes of memory available to us: on the host, and within the memory cgroups around us. The largest number where nothing limits it.
uint64_t available_memory(const Host& host);

// Makes sure that QEMU, which inherits our limits, may lock a VM's memory, as vfio does with all of it. Throws base::Error where the hard
// limit is too low.
void raise_lock_limit(uint64_t memory_bytes);

}  // namespace runtime
