#include "vm/template_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/subprocess.h"
#include "base/unnamed_file.h"
#include "vm/command_line.h"
#include "vm/qemu.h"

namespace vm {
namespace {

constexpr std::string_view kSuffix = ".template";

std::string file_name(const std::string& key) {
    return key + std::string(kSuffix);
}

std::string refusal_name(const std::string& key) {
    return key + ".refused";
}

// A file's identity and state: a different text means different content. A hash would take longer than the start of a VM.
std::string identity(const std::filesystem::path& file) {
    struct stat status {};
    if (::stat(file.c_str(), &status) < 0) base::throw_errno("cannot look at ", file);
    return fmt::format("{}:{}:{} {}.{} {}.{}\n", status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec,
                       status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
}

// The host's CPU as a guest sees it: its clock under emulation; under KVM all that the host's kernel and microcode expose.
std::string host_cpu(Accelerator accelerator) {
    std::string info(4096, '\0');  // enough for the first CPU's part
    const base::UniqueFd file = base::open_file("/proc/cpuinfo", O_RDONLY);
    info.resize(base::read_full(file.get(), std::as_writable_bytes(std::span(info)), "/proc/cpuinfo"));
    std::vector<const char*> keys{"\nvendor_id", "\ncpu family", "\nmodel", "\nmodel name", "\nstepping"};
    std::string text;
    if (accelerator == Accelerator::kvm) {
        keys.insert(keys.end(), {"\nmicrocode", "\nflags"});
        utsname kernel{};
        (void)::uname(&kernel);
        text = fmt::format("{} {}\n", kernel.release, kernel.version);
    }
    for (const char* key : keys) {
        const size_t begin = info.find(key);
        if (begin != std::string::npos) text += info.substr(begin, info.find('\n', begin + 1) - begin);
    }
    return text;
}

bool is_ours_alone(const struct stat& status) {
    return status.st_uid == ::geteuid() && (status.st_mode & 022) == 0;
}

struct Entry {
    std::string name;
    uint64_t bytes;
    timespec used;
};

}  // namespace

std::string template_key(const Machine& machine) {
    std::string text;
    for (const std::string& argument : command_line(bare(machine), {}, StartMode::boot))
        text += argument + '\n';
    text += identity(machine.kernel) + identity(machine.initramfs) + identity(machine.qemu.file) + host_cpu(machine.accelerator);
    return base::sha256_hex(std::as_bytes(std::span(text)));
}

TemplateStore::TemplateStore(std::filesystem::path folder) : folder_(std::move(folder)) {
    std::error_code error;
    std::filesystem::create_directories(folder_.parent_path(), error);
    if (error) throw base::Error("cannot make " + folder_.parent_path().string() + ": " + error.message());
    if (::mkdir(folder_.c_str(), 0700) < 0 && errno != EEXIST) base::throw_errno("cannot make ", folder_);
    directory_ = base::open_file(folder_, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    struct stat status {};
    if (::fstat(directory_.get(), &status) < 0) base::throw_errno("cannot look at ", folder_);
    if (!is_ours_alone(status)) throw base::Error(folder_.string() + " belongs to another user, or others may write to it");
}

base::UniqueFd TemplateStore::find(const std::string& key) const {
    base::UniqueFd file(::openat(directory_.get(), file_name(key).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) < 0) return {};
    if (!S_ISREG(status.st_mode) || !is_ours_alone(status)) {
        spdlog::warn("{} is not used: it is not a file of ours alone", (folder_ / file_name(key)).string());
        return {};
    }
    (void)::futimens(file.get(), nullptr);
    return file;
}

base::UniqueFd TemplateStore::try_lock() const {
    base::UniqueFd lock(::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) < 0) lock.reset();
    return lock;
}

base::UniqueFd TemplateStore::create() const {
    base::UniqueFd file = base::open_unnamed(directory_.get(), ".", 0600);
    if (!file) base::throw_errno("cannot make a file in ", folder_);
    return file;
}

void TemplateStore::publish(const base::UniqueFd& file, const std::string& key, uint64_t limit) const {
    const std::string name = file_name(key);
    if (!base::link_unnamed(file, directory_.get(), name.c_str()) && errno != EEXIST) base::throw_errno("cannot make ", folder_, "/", name);

    std::vector<Entry> entries;
    uint64_t total = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
        struct stat status {};
        if (::lstat(entry.path().c_str(), &status) < 0) continue;
        const auto bytes = static_cast<uint64_t>(status.st_blocks) * 512;
        total += bytes;
        if (entry.path().filename() != name) entries.push_back({entry.path().filename(), bytes, status.st_mtim});
    }
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
        return std::pair(a.used.tv_sec, a.used.tv_nsec) < std::pair(b.used.tv_sec, b.used.tv_nsec);
    });
    for (const Entry& entry : entries) {
        if (total <= limit) break;
        if (::unlinkat(directory_.get(), entry.name.c_str(), 0) == 0) total -= entry.bytes;
    }
}

void TemplateStore::refuse(const std::string& key) const {
    const base::UniqueFd file(::openat(directory_.get(), refusal_name(key).c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file || ::futimens(file.get(), nullptr) < 0) spdlog::warn("cannot make {}", (folder_ / refusal_name(key)).string());
}

bool TemplateStore::is_refused(const std::string& key) const {
    constexpr time_t kDay = 86400;  // seconds
    struct stat status {};
    return ::fstatat(directory_.get(), refusal_name(key).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           status.st_mtim.tv_sec + kDay > ::time(nullptr);
}

void TemplateStore::remove(const std::string& key) const {
    (void)::unlinkat(directory_.get(), file_name(key).c_str(), 0);
}

}  // namespace vm
