#include "runtime/host/kvm.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/kvm.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "runtime/host/host.h"
#include "runtime/host/machine_fact.h"

namespace runtime {
namespace asio = boost::asio;
using asio::awaitable;
namespace {

std::string group_name(gid_t gid) {
    const group* entry = ::getgrgid(gid);
    return entry ? entry->gr_name : std::to_string(gid);
}

std::string user_name() {
    const passwd* entry = ::getpwuid(::geteuid());
    return entry ? entry->pw_name : std::to_string(::geteuid());
}

// Whether the user database lists us in a group, whatever groups this process got when its session began.
bool is_member(gid_t gid) {
    const passwd* entry = ::getpwuid(::geteuid());
    if (!entry) return false;
    int count = 256;
    std::vector<gid_t> groups(static_cast<size_t>(count));
    if (::getgrouplist(entry->pw_name, entry->pw_gid, groups.data(), &count) < 0) return false;
    groups.resize(static_cast<size_t>(count));
    return std::find(groups.begin(), groups.end(), gid) != groups.end();
}

std::string not_accessible(const std::string& device) {
    struct stat status {};
    std::string text = device + " is not accessible to user " + user_name();
    if (::stat(device.c_str(), &status) < 0) return text;
    const std::string group = group_name(status.st_gid);
    if ((status.st_mode & 0060) != 0060)
        return fmt::format("{}, nor to its group: as root, chgrp kvm {} && chmod 660 {}", text, device, device);
    if (is_member(status.st_gid))
        return fmt::format("{} in this session, which is older than its membership in group {}: log in again", text, group);
    return fmt::format("{}: it belongs to group {}; run \"sudo usermod -aG {} {}\" and log in again", text, group, group, user_name());
}

// What a verdict depends on; a different text means that KVM must be judged anew.
std::string verdict_key(const std::filesystem::path& qemu) {
    struct stat status {};
    if (::stat(qemu.c_str(), &status) < 0) return {};
    const std::string boot_id = base::read_file("/proc/sys/kernel/random/boot_id", 100);
    return fmt::format("{} {} {} {}.{:09}", boot_id.substr(0, boot_id.find('\n')), qemu.string(), status.st_size, status.st_mtim.tv_sec,
                       status.st_mtim.tv_nsec);
}

std::filesystem::path verdict_file(const std::filesystem::path& cache_dir) {
    return cache_dir / "kvm.json";
}

std::optional<KvmVerdict> recall(const std::filesystem::path& qemu, const std::filesystem::path& cache_dir) {
    KvmVerdict verdict;
    const auto read = [&verdict](const nlohmann::json& json) {
        verdict = {.works = json.at("works").get<bool>(), .reason = json.at("reason").get<std::string>()};
    };
    if (cache_dir.empty() || !recall_fact(verdict_file(cache_dir), verdict_key(qemu), read)) return {};
    return verdict;
}

void remember(const std::filesystem::path& qemu, const std::filesystem::path& cache_dir, const KvmVerdict& verdict) {
    if (cache_dir.empty()) return;
    keep_fact(verdict_file(cache_dir), verdict_key(qemu), {{"works", verdict.works}, {"reason", verdict.reason}});
}

}  // namespace

std::string kvm_obstacle(const std::filesystem::path& device) {
    constexpr int kApiVersion = 12;  // "applications should refuse to run if it is not": the kernel's documentation
    const base::UniqueFd fd(::open(device.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd && (errno == EACCES || errno == EPERM)) return not_accessible(device);
    if (!fd && (errno == ENOENT || errno == ENODEV || errno == ENXIO)) return device.string() + " is missing: " + why_no_kvm({});
    if (!fd) return "cannot open " + device.string() + ": " + base::errno_text(errno);
    if (::ioctl(fd.get(), KVM_GET_API_VERSION, 0) != kApiVersion) return device.string() + " is not the kernel's KVM";
    return {};
}

awaitable<KvmVerdict> judge_kvm(std::filesystem::path device, std::filesystem::path qemu, std::filesystem::path cache_dir, BootTest boot,
                                bool try_again) {
    // Not remembered: the check is cheap, and the user is about to change it.
    KvmVerdict verdict{.works = false, .reason = kvm_obstacle(device)};
    if (!verdict.reason.empty()) co_return verdict;
    const std::optional<KvmVerdict> known = recall(qemu, cache_dir);
    if (known && (known->works || !try_again)) co_return *known;
    try {
        co_await boot();
        verdict.works = true;
    } catch (const base::SystemError&) {
        throw;
    } catch (const base::Error& e) {
        verdict.reason =
            fmt::format("{} opens, but no guest runs under it ({}): {}", device.string(), e.what(), why_no_guest({}, e.what()));
    }
    remember(qemu, cache_dir, verdict);
    co_return verdict;
}

}  // namespace runtime
