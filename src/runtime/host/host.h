#pragma once

#include <filesystem>
#include <string>

#include "runtime/host/cpuid.h"

namespace runtime {

// Where facts about a machine come from; tests have made-up machines.
struct Host {
    Cpuid cpuid = this_cpu;
    std::filesystem::path root = "/";  // of /proc, /sys, /run
};

// The text of a file below the host's root, cut at 4 MiB; empty where it cannot be read. Throws base::Error where it is longer.
std::string host_text(const Host& host, const std::filesystem::path& path);

// Why a machine has no /dev/kvm, with a remedy.
std::string why_no_kvm(const Host& host);

// What may keep guests from running although /dev/kvm opens, with a remedy; `error` is the failure of a try.
std::string why_no_guest(const Host& host, const std::string& error);

}  // namespace runtime
