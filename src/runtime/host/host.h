#pragma once

#include <filesystem>
#include <string>

#include "runtime/host/cpuid.h"

namespace runtime {

// Where a machine tells what it is; tests have machines of their own.
struct Host {
    Cpuid cpuid = this_cpu;
    std::filesystem::path root = "/";  // of /proc, /sys, /run
};

// The text of a file below the host's root, cut at 4 MiB; empty where it cannot be read. Throws base::Error where it is longer.
std::string host_text(const Host& host, const std::filesystem::path& path);

// Why a machine has no /dev/kvm, and what to do.
std::string why_no_kvm(const Host& host);

// What may keep guests from running where /dev/kvm opens, and what to do; `error` is what the try ended with.
std::string why_no_guest(const Host& host, const std::string& error);

}  // namespace runtime
