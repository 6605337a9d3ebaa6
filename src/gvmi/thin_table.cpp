#include "gvmi/thin_table.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/hex.h"
#include "gvmi/little_endian.h"

namespace gvmi {
namespace {

constexpr std::string_view kThinMagic = "GVMITHIN";
constexpr uint32_t kThinVersion = 1;
constexpr size_t kThinFooter = 24;  // magic, version, CRC-32 of the table, length of the table
constexpr size_t kThinHeader = 44;  // size, SHA3-224, number of URLs, number of first reads
constexpr size_t kSha3Bytes = 28;
constexpr uint64_t kLargestTable =
    kThinHeader + thin_blocks(kLargestThin) * (sizeof(BlockHash) + sizeof(uint32_t)) + kMostThinUrls * (2 + kLongestThinUrl);

// Takes a table apart, front to back.
class Cutter {
public:
    explicit Cutter(std::string_view bytes) : left_(bytes) {}
    std::string_view text(uint64_t size) {
        if (size > left_.size()) throw base::Error("its table ends early");
        const std::string_view taken = left_.substr(0, static_cast<size_t>(size));
        left_.remove_prefix(taken.size());
        return taken;
    }
    uint64_t number(size_t bytes) { return little_endian(std::as_bytes(std::span(text(bytes)))); }
    bool empty() const { return left_.empty(); }

private:
    std::string_view left_;
};

bool is_thin_url(const std::string& url) {
    const auto printable = [](char c) { return c > ' ' && c < 0x7f; };
    return url.size() <= kLongestThinUrl && (url.starts_with("http://") || url.starts_with("https://")) &&
           std::all_of(url.begin(), url.end(), printable);
}

void check(const ThinTable& table) {
    if (table.size == 0 || table.size > kLargestThin)
        throw base::Error("its full image has " + std::to_string(table.size) + " bytes; 1 to " + std::to_string(kLargestThin) +
                          " are allowed");
    if (!base::is_hex(table.sha3, 2 * kSha3Bytes)) throw base::Error("the hash of its full image is not a SHA3-224");
    if (table.hashes.size() != thin_blocks(table.size)) throw base::Error("its number of hashes does not fit its full image");
    if (table.urls.empty() || table.urls.size() > kMostThinUrls)
        throw base::Error("it has " + std::to_string(table.urls.size()) + " URLs; 1 to " + std::to_string(kMostThinUrls) + " are allowed");
    for (const std::string& url : table.urls) {
        if (!is_thin_url(url)) throw base::Error("one of its URLs is not an http or https URL of at most 2048 printable characters");
    }
    std::vector<bool> seen(table.hashes.size());
    for (const uint32_t block : table.first_reads) {
        if (block >= seen.size()) throw base::Error("its recorded start reads a block beyond the end");
        if (seen[block]) throw base::Error("its recorded start reads a block twice");
        seen[block] = true;
    }
}

ThinTable parse(std::string_view bytes) {
    Cutter cutter(bytes);
    ThinTable table;
    table.size = cutter.number(8);
    table.sha3 = base::to_hex(std::as_bytes(std::span(cutter.text(kSha3Bytes))));
    const uint64_t urls = cutter.number(4);
    const uint64_t reads = cutter.number(4);
    if (table.size > kLargestThin || urls > kMostThinUrls || reads > thin_blocks(table.size)) {
        throw base::Error("its table claims " + std::to_string(table.size) + " bytes, " + std::to_string(urls) + " URLs and " +
                          std::to_string(reads) + " recorded reads");
    }
    for (uint64_t i = 0; i < thin_blocks(table.size); i++)
        std::memcpy(table.hashes.emplace_back().data(), cutter.text(sizeof(BlockHash)).data(), sizeof(BlockHash));
    for (uint64_t i = 0; i < reads; i++)
        table.first_reads.push_back(static_cast<uint32_t>(cutter.number(4)));
    for (uint64_t i = 0; i < urls; i++)
        table.urls.emplace_back(cutter.text(cutter.number(2)));
    if (!cutter.empty()) throw base::Error("its table is longer than what is in it");
    check(table);
    return table;
}

std::string read_text(int fd, uint64_t offset, size_t size, const std::string& name) {
    std::string text(size, '\0');
    if (base::pread_full(fd, std::as_writable_bytes(std::span(text)), offset, name) != size)
        throw base::Error("it became shorter while it was read");
    return text;
}

}  // namespace

uint64_t ThinTable::block_bytes(uint64_t block) const {
    return std::min(kThinBlock, size - block * kThinBlock);
}

std::string make_thin_part(const ThinTable& table) {
    check(table);
    std::string bytes;
    append_little_endian(bytes, table.size, 8);
    bytes += base::from_hex(table.sha3, kSha3Bytes);
    append_little_endian(bytes, table.urls.size(), 4);
    append_little_endian(bytes, table.first_reads.size(), 4);
    for (const BlockHash& hash : table.hashes)
        bytes.append(reinterpret_cast<const char*>(hash.data()), hash.size());
    for (const uint32_t block : table.first_reads)
        append_little_endian(bytes, block, 4);
    for (const std::string& url : table.urls) {
        append_little_endian(bytes, url.size(), 2);
        bytes += url;
    }
    const uint32_t crc = base::crc32(std::as_bytes(std::span(bytes)));
    const uint64_t size = bytes.size();
    bytes += kThinMagic;
    append_little_endian(bytes, kThinVersion, 4);
    append_little_endian(bytes, crc, 4);
    append_little_endian(bytes, size, 8);
    return bytes;
}

std::optional<ThinTable> read_thin_table(int fd, const Image& image, const std::string& name) {
    const uint64_t room = image.trailer_offset - image.squashfs_bytes;
    if (room < kThinFooter) return std::nullopt;
    const std::string footer = read_text(fd, image.trailer_offset - kThinFooter, kThinFooter, name);
    if (!footer.starts_with(kThinMagic)) return std::nullopt;
    return base::with_context(name + ": a damaged thin image", [&] {
        Cutter cutter(std::string_view(footer).substr(kThinMagic.size()));
        const uint64_t version = cutter.number(4);
        const uint64_t crc = cutter.number(4);
        const uint64_t size = cutter.number(8);
        if (version != kThinVersion) throw base::Error("its format has version " + std::to_string(version) + ", not 1");
        if (size > room - kThinFooter || size > kLargestTable)
            throw base::Error("its table claims to have " + std::to_string(size) + " bytes");
        const std::string bytes = read_text(fd, image.trailer_offset - kThinFooter - size, static_cast<size_t>(size), name);
        if (base::crc32(std::as_bytes(std::span(bytes))) != crc) throw base::Error("the CRC of its table does not match");
        return parse(bytes);
    });
}

}  // namespace gvmi
