#pragma once

#include <filesystem>
#include <string>

#include "runtime/cpuid.h"

namespace runtime {

// Where a machine tells what it is; tests have machines of their own.
struct Host {
    Cpuid cpuid = this_cpu;
    std::filesystem::path root = "/";  // of /proc, /sys, /run
};

// Why a machine has no /dev/kvm, and what to do.
std::string why_no_kvm(const Host& host);

// What may keep guests from running where /dev/kvm opens, and what to do; `error` is what the try ended with.
std::string why_no_guest(const Host& host, const std::string& error);

// Sees to it that QEMU, which inherits our limits, may open enough files, those that a guest opens on its volumes among them. Throws
// base::Error where the hard limit is too low for a VM.
void raise_descriptor_limit();

// Bytes of memory that we can still get: of the host's, and within the memory cgroups around us. The largest number where nothing says.
uint64_t available_memory(const Host& host);

}  // namespace runtime
