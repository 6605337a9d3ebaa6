#include "runtime/thin_images.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/log.h"
#include "gvmi/image.h"
#include "gvmi/squashfs_metadata.h"
#include "gvmi/thin_table.h"

namespace runtime {
namespace {

using namespace std::chrono_literals;

// Enough for a second try; whoever deploys waits for the answer.
constexpr auto kDeployPatience = 1s;

thin::FetchOptions fetch_options(const ThinSettings& settings) {
    thin::FetchOptions options;
    options.policy.allow = settings.allow;
    options.policy.listed_only = settings.use == ThinSettings::Use::listed;
    options.all = settings.fetch_all;
    options.rate = settings.rate;
    options.patience = std::chrono::seconds(settings.patience_s);
    return options;
}

std::optional<gvmi::ThinTable> thin_table(int fd, const std::filesystem::path& image) {
    return gvmi::read_thin_table(fd, gvmi::read_image(fd, image.string()), image.string());
}

// Reads what a mount reads: the superblock, and the tables, which are at the end.
void read_tables(thin::Blocks& blocks) {
    const gvmi::ReadAt read = blocks.reader();
    const gvmi::Superblock superblock = gvmi::read_superblock(read);
    uint64_t position = std::min(superblock.inode_table, superblock.directory_table);
    std::vector<std::byte> buffer(gvmi::kThinBlock);
    for (size_t size = buffer.size(); size > 0; position += size)
        size = read(buffer, position);
}

}  // namespace

std::unique_ptr<thin::BlockCache> open_block_cache(const Options& options) {
    if (options.cache_dir.empty()) return nullptr;
    thin::BlockCache::Limits limits;
    limits.bytes = options.thin.cache_bytes;
    return std::make_unique<thin::BlockCache>(options.cache_dir, limits);
}

void check_image(const Options& options, const std::filesystem::path& image) {
    const base::UniqueFd fd = base::open_file(image, O_RDONLY | O_NONBLOCK);
    std::optional<gvmi::ThinTable> table = thin_table(fd.get(), image);
    if (!table) return;
    if (options.thin.use == ThinSettings::Use::off) throw base::Error("the image is a thin image, and this provider does not run them");
    const std::unique_ptr<thin::BlockCache> cache = open_block_cache(options);
    thin::FetchOptions fetch = fetch_options(options.thin);
    fetch.all = false;
    fetch.patience = kDeployPatience;
    table->first_reads.clear();
    thin::Blocks blocks(*std::move(table), cache.get(), fetch);
    base::with_context("the thin image cannot be fetched", [&] { read_tables(blocks); });
}

ThinImages::ThinImages(const Options& options, ThinEvents events) : options_(options), events_(std::move(events)) {}

vm::Disk ThinImages::disk(const std::filesystem::path& image, const std::string& serial) {
    base::UniqueFd fd = base::open_file(image, O_RDONLY | O_NONBLOCK);
    std::optional<gvmi::ThinTable> table = thin_table(fd.get(), image);
    const bool recorded = !options_.record_reads.empty() && servers_.empty();
    if (!table && !recorded) return {.file = std::move(fd), .serial = serial, .read_only = true};
    if (table) {
        if (!any_) cache_ = open_block_cache(options_);
        if (!cache_) spdlog::warn("blocks of the thin image are kept nowhere: there is no cache folder (--cache-dir)");
        any_ = true;
        if (cache_) leases_.push_back(cache_->lease(table->hashes));
        thin::FetchOptions fetch = fetch_options(options_.thin);
        fetch.notice = events_.notice;
        fetch.failed = events_.failed;
        servers_.push_back(std::make_unique<thin::ImageServer>(*std::move(table), cache_.get(), std::move(fetch)));
    } else {
        struct stat status {};
        if (::fstat(fd.get(), &status) < 0) base::throw_errno("cannot examine ", image);
        servers_.push_back(std::make_unique<thin::ImageServer>(std::move(fd), static_cast<uint64_t>(status.st_size)));
    }
    return {.serial = serial, .read_only = true, .connect = [server = servers_.back().get()] { return server->connect(); }};
}

void ThinImages::write_record() const {
    if (options_.record_reads.empty() || servers_.empty()) return;
    std::string text;
    for (const uint32_t block : servers_.front()->first_reads())
        text += std::to_string(block) + "\n";
    base::replace_file(options_.record_reads, text);
}

}  // namespace runtime
