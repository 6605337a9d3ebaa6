#include "gvmi/image.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/json.h"
#include "gvmi/compression.h"
#include "gvmi/little_endian.h"

namespace gvmi {
namespace {

constexpr size_t kLengthDigits = 8;
constexpr size_t kCrcBytes = 4;
constexpr size_t kSmallestTrailer = kCrcBytes + kLengthDigits;

// A configuration has some kilobytes; 8 digits would let a stranger make us parse 100 MB.
constexpr uint64_t kMaxJsonBytes = uint64_t{1} << 20;

struct Reader {
    const ReadAt& read_at;
    uint64_t size;

    void read(std::span<std::byte> buffer, uint64_t offset) const {
        if (read_at(buffer, offset) != buffer.size()) throw base::Error("it became shorter while it was read");
    }
};

uint64_t read_json_length(const Reader& file) {
    std::array<char, kLengthDigits> digits{};
    file.read(std::as_writable_bytes(std::span(digits)), file.size - kLengthDigits);
    uint64_t length = 0;
    for (const char digit : digits) {
        if (digit < '0' || digit > '9') throw base::Error("its last 8 bytes are not the 8 digits of the configuration's length");
        length = length * 10 + static_cast<uint64_t>(digit - '0');
    }
    if (length > file.size - kSmallestTrailer) {
        throw base::Error("the configuration's length of " + std::to_string(length) + " bytes points before the start of the file");
    }
    if (length > kMaxJsonBytes) throw base::Error("the configuration is longer than 1 MiB (" + std::to_string(length) + " bytes)");
    return length;
}

std::string compressor_name(uint64_t id) {
    const std::optional<Method> method = method_by_number(static_cast<unsigned>(id));
    return method ? name_of(*method) : std::to_string(id);
}

// The squashfs superblock is 96 bytes: magic at 0, inodes at 4, block size at 12, compressor at 20, version at 28 and 30, bytes_used at 40,
// all little-endian.
void read_superblock(const Reader& file, Image& image) {
    constexpr size_t kSuperblock = 96;
    std::array<std::byte, kSuperblock> superblock{};
    const std::span<const std::byte> view(superblock);
    const size_t available = static_cast<size_t>(std::min<uint64_t>(file.size, kSuperblock));
    file.read(std::span(superblock).first(available), 0);
    if (std::memcmp(superblock.data(), "hsqs", 4) != 0) throw base::Error("it does not start with a squashfs");
    const uint64_t major = little_endian(view.subspan(28, 2));
    const uint64_t minor = little_endian(view.subspan(30, 2));
    if (major != 4 || minor != 0) {
        throw base::Error("its squashfs has version " + std::to_string(major) + "." + std::to_string(minor) + ", not 4.0");
    }
    const uint64_t length = little_endian(view.subspan(40, 8));
    if (length < kSuperblock) throw base::Error("its squashfs claims to be shorter than its own superblock");
    if (length > file.size) {
        throw base::Error("its squashfs claims to be longer (" + std::to_string(length) + " bytes) than the file (" +
                          std::to_string(file.size) + " bytes)");
    }
    if (length > image.trailer_offset) throw base::Error("the configuration's length points before the end of the squashfs");
    image.squashfs_bytes = length;
    image.inodes = static_cast<uint32_t>(little_endian(view.subspan(4, 4)));
    image.block_size = static_cast<uint32_t>(little_endian(view.subspan(12, 4)));
    image.compressor = compressor_name(little_endian(view.subspan(20, 2)));
}

Config read_config(const Reader& file, uint64_t trailer_offset, uint64_t json_length) {
    std::vector<std::byte> bytes(kCrcBytes + json_length);
    file.read(bytes, trailer_offset);
    const auto json = std::span<const std::byte>(bytes).subspan(kCrcBytes);
    if (little_endian(std::span(bytes).first(kCrcBytes)) != base::crc32(json)) {
        throw base::Error("the configuration's CRC does not match: the file is damaged");
    }
    const std::string_view text(reinterpret_cast<const char*>(json.data()), json.size());
    return parse_config(base::with_context("the container configuration", [text] { return base::parse_json(text); }));
}

}  // namespace

ReadAt read_from(int fd) {
    return [fd](std::span<std::byte> buffer, uint64_t position) { return base::pread_full(fd, buffer, position, "it"); };
}

Image read_image(const std::filesystem::path& path) {
    // Non-blocking: a FIFO by that name must not block us.
    const base::UniqueFd fd = base::open_file(path, O_RDONLY | O_NONBLOCK);
    return read_image(fd.get(), path.string());
}

Image read_image(int fd, const std::string& name) {
    const uint64_t size = base::with_context(name + ": not a .gvmi image", [fd] {
        struct stat status {};
        if (::fstat(fd, &status) < 0) base::throw_errno("it cannot be examined");
        if (!S_ISREG(status.st_mode)) throw base::Error("it is not a file");
        return static_cast<uint64_t>(status.st_size);
    });
    return read_image(read_from(fd), size, name);
}

Image read_image(const ReadAt& read, uint64_t size, const std::string& name) {
    return base::with_context(name + ": not a .gvmi image", [&] {
        const Reader file{read, size};
        if (file.size < kSmallestTrailer) throw base::Error("it is too short (" + std::to_string(file.size) + " bytes)");
        const uint64_t json_length = read_json_length(file);
        Image image;
        image.trailer_offset = file.size - kSmallestTrailer - json_length;
        read_superblock(file, image);
        image.config = read_config(file, image.trailer_offset, json_length);
        return image;
    });
}

std::string make_trailer(const nlohmann::json& config) {
    const std::string json = base::with_context("the container configuration", [&config] { return base::to_text(config); });
    if (json.size() > kMaxJsonBytes) throw base::Error("the container configuration is longer than 1 MiB");
    const uint32_t crc = base::crc32(std::as_bytes(std::span(json)));
    std::string trailer;
    append_little_endian(trailer, crc, kCrcBytes);
    trailer += json;
    char digits[32];
    (void)std::snprintf(digits, sizeof digits, "%08zu", json.size());
    return trailer + digits;
}

}  // namespace gvmi
