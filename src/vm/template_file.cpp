#include "vm/template_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <span>

#include "base/error.h"
#include "base/hash.h"

// The file: the header, the blocks' bytes, the devices, the table of blocks.
namespace vm {
namespace asio = boost::asio;
namespace {

constexpr std::string_view kMagic = "gvmkit\x01\n";
constexpr const char* kName = "a template";
constexpr size_t kPage = 4096;
// A run of zero pages of this length is worth starting a new block.
constexpr size_t kGap = 4;
constexpr uint32_t kDevicesLimit = 16 << 20;

using Block = TemplateFile::Block;

uint64_t size_of(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) < 0) base::throw_errno("cannot look at its size");
    return static_cast<uint64_t>(status.st_size);
}

void read_exactly(int fd, std::span<std::byte> data, uint64_t offset) {
    if (base::pread_full(fd, data, offset, kName) != data.size()) throw base::Error("the template is truncated");
}

void read_checked(int fd, std::span<std::byte> data, uint64_t offset, uint32_t crc) {
    read_exactly(fd, data, offset);
    if (base::crc32(data) != crc) throw base::Error("the template is damaged");
}

void write_at(int fd, std::span<const std::byte> data, uint64_t offset) {
    while (!data.empty()) {
        const ssize_t n = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
        if (n < 0) base::throw_errno("cannot write");
        data = data.subspan(static_cast<size_t>(n));
        offset += static_cast<uint64_t>(n);
    }
}

bool is_zero(std::span<const std::byte> page) {
    return page[0] == std::byte{0} && std::memcmp(page.data(), page.data() + 1, page.size() - 1) == 0;
}

// The blocks of one window of the memory, which begins at `offset`.
std::vector<Block> find_blocks(std::span<const std::byte> window, uint64_t offset) {
    std::vector<Block> blocks;
    for (size_t at = 0; at < window.size(); at += kPage) {
        if (is_zero(window.subspan(at, kPage))) continue;
        const uint64_t end = blocks.empty() ? 0 : blocks.back().offset + blocks.back().size;
        if (blocks.empty() || offset + at - end > kGap * kPage) blocks.push_back({.offset = offset + at, .size = 0, .crc = 0});
        blocks.back().size = static_cast<uint32_t>(offset + at + kPage - blocks.back().offset);
    }
    for (Block& block : blocks)
        block.crc = base::crc32(window.subspan(block.offset - offset, block.size));
    return blocks;
}

}  // namespace

TemplateFile::TemplateFile(base::UniqueFd file, const std::string& key) : file_(std::move(file)) {
    const std::span<std::byte> header = std::as_writable_bytes(std::span(&header_, 1));
    read_exactly(file_.get(), header, 0);
    if (std::string_view(header_.magic, sizeof header_.magic) != kMagic || std::string_view(header_.key, sizeof header_.key) != key)
        throw base::Error("the template is of another kind of VM");
    if (header_.crc != base::crc32(header.first(offsetof(Header, crc)))) throw base::Error("the template is damaged");
    const uint64_t size = size_of(file_.get());
    if (header_.data_bytes > size || header_.devices_bytes > kDevicesLimit || header_.blocks > header_.data_bytes / kPage ||
        sizeof header_ + header_.data_bytes + header_.devices_bytes + header_.blocks * sizeof(Block) != size)
        throw base::Error("the template is truncated");
    blocks_.resize(header_.blocks);
    read_checked(file_.get(), std::as_writable_bytes(std::span(blocks_)), size - header_.blocks * sizeof(Block), header_.table_crc);
}

void TemplateFile::fill(int memory) const {
    if (size_of(memory) != header_.memory_bytes) throw base::Error("the template is of a VM with another amount of memory");
    std::vector<std::byte> window(kWindow);
    uint64_t at = sizeof header_;
    for (const Block& block : blocks_) {
        if (block.size > kWindow || block.offset > header_.memory_bytes || block.size > header_.memory_bytes - block.offset)
            throw base::Error("the template is damaged");
        const std::span<std::byte> data = std::span(window).first(block.size);
        read_checked(file_.get(), data, at, block.crc);
        base::with_context("cannot fill the VM's memory", [&] { write_at(memory, data, block.offset); });
        at += block.size;
    }
}

base::UniqueFd TemplateFile::devices() const {
    std::vector<std::byte> data(header_.devices_bytes);
    read_checked(file_.get(), data, sizeof header_ + header_.data_bytes, header_.devices_crc);
    base::UniqueFd devices = base::memory_file("devices");
    write_at(devices.get(), data, 0);
    return devices;
}

asio::awaitable<void> TemplateFile::write(int file, const std::string& key, const SavedVm& saved) {
    const auto executor = co_await asio::this_coro::executor;
    Header header{};
    header.memory_bytes = size_of(saved.memory.get());
    std::vector<Block> table;
    std::vector<std::byte> window(kWindow);
    uint64_t at = sizeof header;
    // Memory that was never written is a hole of the memfd and need not be read.
    for (off_t next = 0; (next = ::lseek(saved.memory.get(), next, SEEK_DATA)) >= 0;) {
        const auto offset = static_cast<uint64_t>(next);
        const std::span<std::byte> data = std::span(window).first(std::min<uint64_t>(kWindow, header.memory_bytes - offset));
        read_exactly(saved.memory.get(), data, offset);
        for (const Block& block : find_blocks(data, offset)) {
            write_at(file, data.subspan(block.offset - offset, block.size), at);
            at += block.size;
            table.push_back(block);
        }
        next += static_cast<off_t>(data.size());
        co_await asio::post(executor, asio::use_awaitable);
    }
    std::vector<std::byte> devices(size_of(saved.devices.get()));
    if (devices.size() > kDevicesLimit) throw base::Error("its devices take " + std::to_string(devices.size()) + " bytes");
    read_exactly(saved.devices.get(), devices, 0);
    write_at(file, devices, at);
    write_at(file, std::as_bytes(std::span(table)), at + devices.size());

    (void)kMagic.copy(header.magic, sizeof header.magic);
    (void)key.copy(header.key, sizeof header.key);
    header.blocks = table.size();
    header.data_bytes = at - sizeof header;
    header.devices_bytes = static_cast<uint32_t>(devices.size());
    header.devices_crc = base::crc32(devices);
    header.table_crc = base::crc32(std::as_bytes(std::span(table)));
    header.crc = base::crc32(std::as_bytes(std::span(&header, 1)).first(offsetof(Header, crc)));
    write_at(file, std::as_bytes(std::span(&header, 1)), 0);
}

}  // namespace vm
