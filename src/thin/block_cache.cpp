#include "thin/block_cache.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <optional>
#include <set>
#include <string>

#include "base/error.h"
#include "base/folders.h"
#include "base/hex.h"
#include "base/unnamed_file.h"

namespace thin {
namespace {

constexpr const char* kLeases = "leases";
constexpr size_t kNameDigits = 62;                   // of a block, below a folder of the first two
constexpr uint64_t kLookEvery = uint64_t{64} << 20;  // bytes stored between two looks at the limits
constexpr uint64_t kStatBlock = 512;

std::optional<gvmi::BlockHash> hash_in(const std::string& digits) {
    gvmi::BlockHash hash{};
    if (!base::is_hex(digits, 2 * hash.size())) return std::nullopt;
    std::memcpy(hash.data(), base::from_hex(digits, hash.size()).data(), hash.size());
    return hash;
}

// The byte of the file of turns that stands for a block; two that share one only wait for each other.
off_t turn_of(const gvmi::BlockHash& hash) {
    uint64_t number = 0;
    std::memcpy(&number, hash.data(), sizeof number);
    return static_cast<off_t>(number >> 2);
}

bool lock_turn(const base::UniqueFd& turns, const gvmi::BlockHash& hash, short type) {
    struct flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = turn_of(hash);
    lock.l_len = 1;
    return ::fcntl(turns.get(), F_OFD_SETLK, &lock) == 0;
}

void make_private_folder(const std::filesystem::path& folder) {
    if (::mkdir(folder.c_str(), 0700) < 0 && errno != EEXIST) base::throw_errno("cannot make ", folder);
    struct stat status {};
    if (::lstat(folder.c_str(), &status) < 0) base::throw_errno("cannot examine ", folder);
    if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 022) != 0)
        throw base::Error(folder.string() + ": not a folder that belongs to this user alone");
}

// Calls take(name) with each entry of a folder that can be read.
template <typename F>
void for_each_name(const std::filesystem::path& path, F&& take) {
    const base::Folder folder = base::read_folder(base::UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)));
    if (!folder) return;
    while (const dirent* entry = base::next_entry(folder.get()))
        take(std::string(entry->d_name));
}

// The blocks of all leases that are held; those of a process that has ended are removed.
std::set<gvmi::BlockHash> leased(const std::filesystem::path& folder) {
    std::set<gvmi::BlockHash> hashes;
    for_each_name(folder, [&](const std::string& name) {
        const base::UniqueFd fd(::open((folder / name).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
        if (!fd) return;
        if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
            ::unlink((folder / name).c_str());
            return;
        }
        gvmi::BlockHash hash{};
        for (uint64_t at = 0; base::pread_full(fd.get(), hash, at, name) == hash.size(); at += hash.size())
            hashes.insert(hash);
    });
    return hashes;
}

// Blocks are evicted by their time, which is written seldom.
void mark_as_used(int folder, const char* path, const struct stat& status) {
    constexpr time_t kSeldom = 3600;
    if (status.st_mtim.tv_sec + kSeldom < ::time(nullptr))
        (void)::utimensat(folder, path, nullptr, AT_SYMLINK_NOFOLLOW | (*path == '\0' ? AT_EMPTY_PATH : 0));
}

}  // namespace

struct BlockCache::Entry {
    gvmi::BlockHash hash{};
    uint64_t bytes = 0;  // on the disk
    timespec used{};
};

gvmi::BlockHash hash_of(std::span<const std::byte> data) {
    gvmi::BlockHash hash{};
    if (EVP_Digest(data.data(), data.size(), reinterpret_cast<unsigned char*>(hash.data()), nullptr, EVP_sha256(), nullptr) != 1)
        throw base::Error("OpenSSL cannot hash");
    return hash;
}

BlockCache::BlockCache(const std::filesystem::path& cache_dir, const Limits& limits) : folder_(cache_dir / "blocks"), limits_(limits) {
    std::filesystem::create_directories(cache_dir);
    for (const std::filesystem::path& folder : {folder_, folder_ / kLeases})
        make_private_folder(folder);
}

std::filesystem::path BlockCache::path_of(const gvmi::BlockHash& hash) const {
    const std::string hex = base::to_hex(hash);
    return folder_ / hex.substr(0, 2) / hex.substr(2);
}

bool BlockCache::holds(const gvmi::BlockHash& hash, size_t bytes) const {
    const std::string path = path_of(hash);
    struct stat status {};
    if (::lstat(path.c_str(), &status) < 0 || !S_ISREG(status.st_mode) || static_cast<uint64_t>(status.st_size) != bytes) return false;
    mark_as_used(AT_FDCWD, path.c_str(), status);
    return true;
}

bool BlockCache::read(const gvmi::BlockHash& hash, std::span<std::byte> data) const {
    const std::filesystem::path path = path_of(hash);
    const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return false;
    struct stat status {};
    const bool fits = ::fstat(fd.get(), &status) == 0 && static_cast<uint64_t>(status.st_size) == data.size();
    const auto right = [&] {
        try {
            return base::pread_full(fd.get(), data, 0, path.string()) == data.size() && hash_of(data) == hash;
        } catch (const base::SystemError&) {  // a disk that fails
            return false;
        }
    };
    if (!fits || !right()) {
        ::unlink(path.c_str());
        return false;
    }
    mark_as_used(fd.get(), "", status);
    return true;
}

bool BlockCache::store(const gvmi::BlockHash& hash, std::span<const std::byte> data) {
    stored_ += data.size();
    if (stored_ > kLookEvery) {
        stored_ = 0;
        make_room();
    }
    // Made again each time: somebody may have removed the cache.
    (void)::mkdir(folder_.c_str(), 0700);
    struct statvfs room {};
    if (::statvfs(folder_.c_str(), &room) < 0 || room.f_bavail * room.f_frsize < limits_.free + data.size()) {
        make_room();
        if (::statvfs(folder_.c_str(), &room) < 0 || room.f_bavail * room.f_frsize < limits_.free + data.size()) return false;
    }
    const std::filesystem::path path = path_of(hash);
    const std::string folder = path.parent_path().string();
    if (::mkdir(folder.c_str(), 0700) < 0 && errno != EEXIST) return false;
    const base::UniqueFd file = base::open_unnamed(AT_FDCWD, folder.c_str(), 0600);
    if (!file) return false;
    try {
        base::write_all(file.get(), data, path.string());
    } catch (const base::SystemError&) {
        return false;
    }
    return base::link_unnamed(file, AT_FDCWD, path.c_str()) || errno == EEXIST;
}

BlockCache::Lease BlockCache::lease(std::span<const gvmi::BlockHash> hashes) const {
    static std::atomic<unsigned> last{0};
    const std::filesystem::path folder = folder_ / kLeases;
    base::UniqueFd file = base::open_unnamed(AT_FDCWD, folder.c_str(), 0600);
    // Locked before it has a name, so that nobody takes it for a dead process's.
    if (!file || ::flock(file.get(), LOCK_SH) < 0) base::throw_errno("cannot make a file in ", folder);
    base::write_all(file.get(), std::as_bytes(hashes), folder.string());
    for (;;) {
        std::filesystem::path path = folder / (std::to_string(::getpid()) + "-" + std::to_string(++last));
        if (base::link_unnamed(file, AT_FDCWD, path.c_str())) return {std::move(path), std::move(file)};
        if (errno != EEXIST) base::throw_errno("cannot make ", path);
    }
}

BlockCache::Lease::~Lease() {
    if (fd_) ::unlink(path_.c_str());
}

base::UniqueFd BlockCache::open_turns() const {
    return base::open_file(folder_ / "turns", O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
}

bool BlockCache::take_turn(const base::UniqueFd& turns, const gvmi::BlockHash& hash) {
    return lock_turn(turns, hash, F_WRLCK);
}

void BlockCache::end_turn(const base::UniqueFd& turns, const gvmi::BlockHash& hash) {
    (void)lock_turn(turns, hash, F_UNLCK);
}

std::vector<BlockCache::Entry> BlockCache::entries() const {
    std::vector<Entry> found;
    for_each_name(folder_, [&](const std::string& prefix) {
        if (prefix.size() != 2) return;
        for_each_name(folder_ / prefix, [&](const std::string& rest) {
            const auto hash = rest.size() == kNameDigits ? hash_in(prefix + rest) : std::nullopt;
            struct stat status {};
            if (!hash || ::lstat((folder_ / prefix / rest).c_str(), &status) < 0) return;
            found.push_back({*hash, static_cast<uint64_t>(status.st_blocks) * kStatBlock, status.st_mtim});
        });
    });
    return found;
}

BlockCache::Use BlockCache::use() const {
    const std::set<gvmi::BlockHash> held = leased(folder_ / kLeases);
    Use use;
    for (const Entry& entry : entries()) {
        use.blocks++;
        use.bytes += entry.bytes;
        if (held.contains(entry.hash)) use.leased_blocks++;
    }
    return use;
}

BlockCache::Use BlockCache::prune(uint64_t bytes) const {
    const std::set<gvmi::BlockHash> held = leased(folder_ / kLeases);
    std::vector<Entry> all = entries();
    std::sort(all.begin(), all.end(), [](const Entry& a, const Entry& b) {
        return a.used.tv_sec != b.used.tv_sec ? a.used.tv_sec < b.used.tv_sec : a.used.tv_nsec < b.used.tv_nsec;
    });
    Use use;
    for (const Entry& entry : all)
        use.bytes += entry.bytes;
    struct statvfs room {};
    uint64_t free = ::statvfs(folder_.c_str(), &room) == 0 ? room.f_bavail * room.f_frsize : limits_.free;
    for (const Entry& entry : all) {
        const bool kept = held.contains(entry.hash);
        if (!kept && (use.bytes > bytes || free < limits_.free) && ::unlink(path_of(entry.hash).c_str()) == 0) {
            use.bytes -= entry.bytes;
            free += entry.bytes;
            continue;
        }
        use.blocks++;
        if (kept) use.leased_blocks++;
    }
    return use;
}

// One process at a time; below the limit, so that it is not needed again at once.
void BlockCache::make_room() const {
    const base::UniqueFd folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder || ::flock(folder.get(), LOCK_EX | LOCK_NB) < 0) return;
    (void)prune(limits_.bytes - limits_.bytes / 16);
}

BlockCache::Use BlockCache::verify() const {
    Use use;
    std::vector<std::byte> data;
    const std::set<gvmi::BlockHash> held = leased(folder_ / kLeases);
    for (const Entry& entry : entries()) {
        struct stat status {};
        const std::filesystem::path path = path_of(entry.hash);
        if (::stat(path.c_str(), &status) < 0) continue;
        const bool possible = S_ISREG(status.st_mode) && static_cast<uint64_t>(status.st_size) <= gvmi::kThinBlock;
        if (possible) data.resize(static_cast<size_t>(status.st_size));
        if (!possible || !read(entry.hash, data)) {
            if (!possible) ::unlink(path.c_str());
            use.damaged++;
            continue;
        }
        use.blocks++;
        use.bytes += entry.bytes;
        if (held.contains(entry.hash)) use.leased_blocks++;
    }
    return use;
}

}  // namespace thin
