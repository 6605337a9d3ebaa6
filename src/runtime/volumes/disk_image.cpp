#include "runtime/volumes/disk_image.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/folders.h"
#include "base/size.h"
#include "base/subprocess.h"

namespace runtime {
namespace {

constexpr uint64_t kSmallest = 1 << 20;  // ext4 itself takes 256 KiB, but then holds 21 files
constexpr const char* kMkfs = "mkfs.ext4";

[[noreturn]] void throw_mkfs_error(const base::Finished& made) {
    const std::string& text = made.output;
    if (text.find(base::errno_text(ENOSPC)) != std::string::npos) throw base::Error("the host's disk is full");
    std::string line = text.substr(0, text.find_last_not_of('\n') + 1);
    std::replace(line.begin(), line.end(), '\n', ' ');
    throw base::Error(std::string(kMkfs) + (line.empty() ? " ended with exit code " + std::to_string(made.code) : ": " + line));
}

// The runtime's own where it has one, which needs no library of the host's. It goes by its built-in settings, whatever the host's are: no
// such file is there.
std::string find_mkfs(std::vector<std::string>& environment) {
    const std::filesystem::path own = base::program_folder() / "runtime" / kMkfs;
    if (std::filesystem::exists(own)) {
        environment = {"MKE2FS_CONFIG=" + own.string() + ".conf"};
        return own;
    }
    std::string found = base::find_program(kMkfs);
    if (found.empty()) throw base::Error(std::string(kMkfs) + " is not installed; on Debian: apt-get install e2fsprogs");
    return found;
}

void format(int fd, const std::string& errors) {
    // No journal: the disk does not outlive its VM. No reserved blocks: they would be missing from the space that was paid for. A new
    // sparse file is zero everywhere, so neither mkfs nor, later in the background, the guest's kernel needs to clear inode tables.
    // As its own descriptor: it may not look into our /proc (PR_SET_DUMPABLE).
    constexpr int kDisk = 3;
    std::vector<std::string> environment = base::own_environment();
    const std::string mkfs = find_mkfs(environment);
    const base::Finished made = base::run({mkfs, "-q", "-F", "-b", "4096", "-m", "0", "-O", "^has_journal,^resize_inode", "-E",
                                           "assume_storage_prezeroed=1,nodiscard,root_owner=0:0", "-e",
                                           errors.empty() ? "continue" : errors, "/proc/self/fd/" + std::to_string(kDisk)},
                                          {{fd, kDisk}}, environment);
    if (made.code != 0) throw_mkfs_error(made);
}

}  // namespace

void make_disk_image(const std::filesystem::path& path, uint64_t bytes, const std::string& errors) {
    const std::string size = base::format_size(bytes);
    if (bytes < kSmallest) throw base::Error("a disk of " + size + " is too small: at least " + base::format_size(kSmallest));
    base::with_context("cannot make a disk image of " + size + " at " + path.string(), [&] {
        base::AtomicFile image(path, 0600);
        if (::ftruncate(image.fd().get(), static_cast<off_t>(bytes)) < 0) base::throw_errno("cannot set its size");
        format(image.fd().get(), errors);
        image.commit();
    });
}

}  // namespace runtime
