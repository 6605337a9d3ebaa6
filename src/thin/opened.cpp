#include "thin/opened.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/folders.h"

namespace thin {
namespace {

using namespace std::chrono_literals;

uint64_t size_of(int fd, const std::string& name) {
    struct stat status {};
    if (::fstat(fd, &status) < 0) base::throw_errno("cannot examine ", name);
    return static_cast<uint64_t>(status.st_size);
}

std::unique_ptr<BlockCache> user_cache(const std::optional<gvmi::ThinTable>& table) {
    const std::filesystem::path folder = base::user_cache_folder();
    if (!table || folder.empty()) return nullptr;
    return std::make_unique<BlockCache>(folder / "gvmkit", BlockCache::Limits());
}

// With its first block: where that cannot be fetched, the reason says so.
std::unique_ptr<Blocks> blocks_of(const std::optional<gvmi::ThinTable>& table, BlockCache* cache, const std::string& name) {
    if (!table) return nullptr;
    FetchOptions options;
    options.policy.any = true;
    options.all = false;
    options.patience = 10s;
    auto blocks = std::make_unique<Blocks>(*table, cache, options);
    std::byte first{};
    base::with_context(name, [&] { blocks->read_waiting(0, {&first, 1}); });
    return blocks;
}

}  // namespace

// Non-blocking: a FIFO by that name must not block us.
Opened::Opened(const std::string& name)
    : path(name),
      fd(base::open_file(name, O_RDONLY | O_NONBLOCK)),
      table(gvmi::read_thin_table(fd.get(), gvmi::read_image(fd.get(), name), name)),
      cache(user_cache(table)),
      blocks(blocks_of(table, cache.get(), name)),
      read(blocks ? blocks->reader() : gvmi::read_from(fd.get())),
      size(table ? table->size : size_of(fd.get(), name)),
      image(gvmi::read_image(read, size, name)),
      reader(base::with_context(name, [this] { return gvmi::SquashfsReader(read); })) {}

}  // namespace thin
