#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <filesystem>
#include <functional>
#include <string>

#include "runtime/options.h"
#include "vm/machine.h"

namespace runtime {

// Whether guests run under KVM here; where not, the reason and what to do, in plain words.
struct KvmVerdict {
    bool works = false;
    std::string reason = {};
};

// Throws base::Error where one of the runtime's own files cannot be opened.
void check_installed(const std::filesystem::path& file);

// What keeps this user from using a KVM device, as far as it shows without a guest: it is missing (why: host.h), not
// accessible (which group and command), or no KVM. Empty: nothing.
std::string kvm_obstacle(const std::filesystem::path& device);

// Starts a guest under KVM; returns when it is ready. Throws base::Error where it does not get there, SystemError where it could not even
// be started, which tells nothing of KVM.
using BootTest = std::function<boost::asio::awaitable<void>()>;

// The verdict on KVM. A device that opens proves nothing, so a guest is booted, once per boot of the host and QEMU binary: the outcome is
// remembered in `cache_dir` (empty: it is not).
boost::asio::awaitable<KvmVerdict> judge_kvm(std::filesystem::path device, std::filesystem::path cache_dir, BootTest boot);

// What a VM is to run on. Where KVM does not work, `automatic` means software emulation, which is logged with the reason; but with
// `sells_cpu` (test, offer-template) it is an error, as it is with `kvm`: no provider should sell an emulated CPU by accident. Throws
// base::Error, also where QEMU or the files of a VM are missing.
boost::asio::awaitable<vm::Accelerator> choose_accelerator(boost::asio::any_io_executor executor, Options options, bool sells_cpu);

}  // namespace runtime
