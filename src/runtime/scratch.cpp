#include "runtime/scratch.h"

#include <unistd.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/size.h"
#include "base/subprocess.h"

namespace runtime {
namespace {

constexpr uint64_t kSmallest = 1 << 20;

}  // namespace

void make_scratch(const std::filesystem::path& path, uint64_t bytes) {
    if (bytes < kSmallest)
        throw base::Error("a disk of " + base::format_size(bytes) + " is too small: at least " + base::format_size(kSmallest));
    base::AtomicFile image(path, 0600);
    if (::ftruncate(image.fd(), static_cast<off_t>(bytes)) < 0)
        base::throw_errno("cannot make a disk image of " + base::format_size(bytes));
    // No journal: the disk does not outlive its VM. No reserved blocks: they would be missing from what was paid for.
    const base::Finished made = base::run({"mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-O", "^has_journal,^resize_inode", "-E",
                                           "lazy_itable_init=1,nodiscard,root_owner=0:0",
                                           "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(image.fd())});
    if (made.code != 0) throw base::Error("mkfs.ext4: " + made.output);
    image.commit();
}

}  // namespace runtime
