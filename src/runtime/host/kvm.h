#pragma once

#include <boost/asio/awaitable.hpp>
#include <filesystem>
#include <functional>
#include <string>

namespace runtime {

// Whether guests run under KVM here; if not, the reason and a remedy, in plain words.
struct KvmVerdict {
    bool works = false;
    std::string reason = {};
};

// What keeps this user from using a KVM device, as far as that shows without a guest: it is missing (why: host.h), not accessible (which
// group and command), or no KVM. Empty: nothing.
std::string kvm_obstacle(const std::filesystem::path& device);

// Starts a guest under KVM; returns when it is ready. Throws base::Error where that fails, SystemError where it could not even be started,
// which says nothing about KVM.
using BootTest = std::function<boost::asio::awaitable<void>()>;

// The verdict on KVM. A device that opens proves nothing, so a guest is booted, once per boot of the host and QEMU binary (`qemu`), and
// with `try_again` also where none ran the last time. The outcome is kept in `cache_dir` (empty: nowhere).
boost::asio::awaitable<KvmVerdict> judge_kvm(std::filesystem::path device, std::filesystem::path qemu, std::filesystem::path cache_dir,
                                             BootTest boot, bool try_again = false);

}  // namespace runtime
