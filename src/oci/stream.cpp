#include "oci/stream.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/size.h"
#include "base/times.h"
#include "base/unnamed_file.h"
#include "oci/libarchive.h"

namespace oci {
namespace {

class File : public Stream {
public:
    File(std::shared_ptr<const base::UniqueFd> fd, std::string name, uint64_t offset, uint64_t size)
        : fd_(std::move(fd)), name_(std::move(name)), buffer_(kBuffer), offset_(offset), end_(offset + size) {}

    std::span<const std::byte> next() override {
        const auto room = std::span(buffer_).first(static_cast<size_t>(std::min<uint64_t>(piece_, end_ - offset_)));
        piece_ = std::min(2 * piece_, kBuffer);
        const base::Timed timed(base::Work::read);
        const size_t n = base::pread_full(fd_->get(), room, offset_, name_);
        offset_ += n;
        return room.first(n);
    }

    uint64_t skip(uint64_t bytes) override {
        struct stat status {};
        if (::fstat(fd_->get(), &status) < 0) base::throw_errno("cannot examine ", name_);
        const uint64_t end = std::min(end_, static_cast<uint64_t>(status.st_size));
        const uint64_t n = std::min(bytes, end > offset_ ? end - offset_ : 0);
        offset_ += n;
        piece_ = kBehindSkipped;
        return n;
    }

private:
    static constexpr size_t kBuffer = size_t{256} << 10;
    static constexpr size_t kBehindSkipped = size_t{8} << 10;  // who skips once, reads a header and skips again
    std::shared_ptr<const base::UniqueFd> fd_;
    std::string name_;
    std::vector<std::byte> buffer_;
    uint64_t offset_;
    uint64_t end_;
    size_t piece_ = kBuffer;
};

class Empty : public Stream {
public:
    std::span<const std::byte> next() override { return {}; }
};

// Gives back what was read for the detection.
class Pushed : public Stream {
public:
    Pushed(std::vector<std::byte> first, StreamPtr inner) : first_(std::move(first)), inner_(std::move(inner)) {}

    std::span<const std::byte> next() override {
        if (given_) return inner_->next();
        given_ = true;
        return first_.empty() ? inner_->next() : std::span<const std::byte>(first_);
    }

    uint64_t skip(uint64_t bytes) override { return given_ ? inner_->skip(bytes) : 0; }

private:
    std::vector<std::byte> first_;
    StreamPtr inner_;
    bool given_ = false;
};

// A zstd frame whose content readers skip (RFC 8878, 3.1.2), as pzstd and indexed archives begin with.
bool is_skippable_frame(std::span<const std::byte> start) {
    return start.size() >= 4 && (start[0] & std::byte{0xf0}) == std::byte{0x50} && start[1] == std::byte{0x2a} &&
           start[2] == std::byte{0x4d} && start[3] == std::byte{0x18};
}

// Leaves out the skippable frames at the start, by which libarchive (3.6) does not know zstd; it skips later ones itself.
class WithoutSkippableFrames : public Stream {
public:
    explicit WithoutSkippableFrames(StreamPtr inner) : inner_(std::move(inner)) {}

    std::span<const std::byte> next() override {
        if (started_) return inner_->next();
        started_ = true;
        do {
            read_head();
        } while (skip_frame());
        head_.insert(head_.end(), rest_.begin(), rest_.end());
        return head_;
    }

private:
    static constexpr size_t kHead = 8;  // the magic number and the size of the content

    bool more() {
        if (rest_.empty()) rest_ = inner_->next();
        return !rest_.empty();
    }

    void read_head() {
        head_.clear();
        while (head_.size() < kHead && more()) {
            const size_t n = std::min(kHead - head_.size(), rest_.size());
            head_.insert(head_.end(), rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(n));
            rest_ = rest_.subspan(n);
        }
    }

    bool skip_frame() {
        if (head_.size() < kHead || !is_skippable_frame(head_)) return false;
        uint64_t left = 0;
        for (size_t i = kHead; i-- > 4;)
            left = left << 8 | static_cast<uint64_t>(head_[i]);
        while (left > 0) {
            if (!more()) throw base::Error("a skippable frame of zstd is cut short");
            const size_t n = static_cast<size_t>(std::min<uint64_t>(left, rest_.size()));
            rest_ = rest_.subspan(n);
            left -= n;
        }
        return true;
    }

    StreamPtr inner_;
    bool started_ = false;
    std::vector<std::byte> head_;
    std::span<const std::byte> rest_;  // of inner_'s last bytes
};

class Decompressed : public Stream {
public:
    Decompressed(StreamPtr inner, uint64_t limit) : archive_(std::move(inner)), left_(limit), limit_(limit) {
        archive_.check(archive_read_support_filter_gzip(archive_.get()));
        archive_.check(archive_read_support_filter_zstd(archive_.get()));
        archive_.check(archive_read_support_filter_xz(archive_.get()));
        archive_.check(archive_read_support_filter_bzip2(archive_.get()));
        archive_.check(archive_read_support_format_raw(archive_.get()));
        // Without it, compressed empty data would not be an archive.
        archive_.check(archive_read_support_format_empty(archive_.get()));
    }

    std::span<const std::byte> next() override {
        if (!opened_) {
            opened_ = true;
            archive_.open();
            archive_entry* entry = nullptr;
            const int result = archive_read_next_header(archive_.get(), &entry);
            ended_ = result == ARCHIVE_EOF;
            if (!ended_) archive_.check(result);
        }
        while (!ended_) {
            const void* data = nullptr;
            size_t size = 0;
            la_int64_t offset = 0;
            const int result = archive_read_data_block(archive_.get(), &data, &size, &offset);
            ended_ = result == ARCHIVE_EOF;
            if (ended_) break;
            archive_.check(result);
            if (size > left_) throw base::Error("it unpacks to more than " + base::format_size(limit_) + " (--limit-gib)");
            left_ -= size;
            if (size > 0) return {static_cast<const std::byte*>(data), size};
        }
        // Data after the compressed data belongs to the blob whose digest is checked.
        drain(archive_.inner());
        return {};
    }

private:
    Archive archive_;
    uint64_t left_;
    uint64_t limit_;
    bool opened_ = false;
    bool ended_ = false;
};

class Bound : public Stream {
public:
    Bound(StreamPtr inner, std::shared_ptr<uint64_t> left) : inner_(std::move(inner)), left_(std::move(left)) {}

    std::span<const std::byte> next() override {
        const auto bytes = inner_->next();
        if (bytes.size() > *left_) throw base::Error("the layers together unpack to more than is allowed (--limit-gib)");
        *left_ -= bytes.size();
        return bytes;
    }

    uint64_t skip(uint64_t bytes) override { return inner_->skip(bytes); }

private:
    StreamPtr inner_;
    std::shared_ptr<uint64_t> left_;
};

class Checked : public Stream {
public:
    Checked(StreamPtr inner, std::string expected, std::string what)
        : inner_(std::move(inner)), expected_(std::move(expected)), what_(std::move(what)), hasher_(base::Hasher::Kind::sha256) {}

    std::span<const std::byte> next() override {
        if (ended_) return {};
        const auto bytes = inner_->next();
        if (!bytes.empty()) {
            const base::Timed timed(base::Work::hash);
            hasher_.update(bytes);
            return bytes;
        }
        ended_ = true;
        const std::string actual = hasher_.hex();
        if (actual != expected_) throw base::Error(what_ + " has the SHA-256 " + actual + ", not " + expected_);
        return {};
    }

private:
    StreamPtr inner_;
    std::string expected_;
    std::string what_;
    base::Hasher hasher_;
    bool ended_ = false;
};

}  // namespace

StreamPtr read_file(std::shared_ptr<const base::UniqueFd> fd, const std::string& name) {
    constexpr uint64_t kToTheEnd = std::numeric_limits<int64_t>::max();
    return read_range(std::move(fd), name, 0, kToTheEnd);
}

StreamPtr read_range(std::shared_ptr<const base::UniqueFd> fd, const std::string& name, uint64_t offset, uint64_t size) {
    return std::make_unique<File>(std::move(fd), name, offset, size);
}

StreamPtr text_stream(std::string text) {
    const auto bytes = std::as_bytes(std::span(text));
    return std::make_unique<Pushed>(std::vector<std::byte>(bytes.begin(), bytes.end()), std::make_unique<Empty>());
}

bool is_compressed(std::span<const std::byte> start) {
    using namespace std::string_view_literals;
    const std::string_view text(reinterpret_cast<const char*>(start.data()), start.size());
    const std::string_view magics[] = {"\x1f\x8b"sv, "\x28\xb5\x2f\xfd"sv, "\xfd\x37zXZ\0"sv, "BZh"sv};
    return is_skippable_frame(start) ||
           std::any_of(std::begin(magics), std::end(magics), [text](std::string_view magic) { return text.starts_with(magic); });
}

StreamPtr decompress(StreamPtr inner, uint64_t limit) {
    const auto bytes = inner->next();
    std::vector<std::byte> first(bytes.begin(), bytes.end());
    const bool compressed = is_compressed(first);
    const bool skippable = is_skippable_frame(first);
    StreamPtr whole = std::make_unique<Pushed>(std::move(first), std::move(inner));
    if (!compressed) return whole;
    if (skippable) whole = std::make_unique<WithoutSkippableFrames>(std::move(whole));
    return std::make_unique<Decompressed>(std::move(whole), limit);
}

StreamPtr bound(StreamPtr inner, std::shared_ptr<uint64_t> left) {
    if (left == nullptr) return inner;
    return std::make_unique<Bound>(std::move(inner), std::move(left));
}

StreamPtr check_sha256(StreamPtr inner, std::string expected, std::string what) {
    return std::make_unique<Checked>(std::move(inner), std::move(expected), std::move(what));
}

void drain(Stream& stream) {
    while (!stream.next().empty()) {
    }
}

std::string read_all(Stream& stream, size_t limit) {
    std::string text;
    for (auto bytes = stream.next(); !bytes.empty(); bytes = stream.next()) {
        if (bytes.size() > limit - text.size()) throw base::Error("it is longer than " + std::to_string(limit) + " bytes");
        text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    return text;
}

base::UniqueFd unnamed_file() {
    return base::temporary_file(std::filesystem::temp_directory_path());
}

}  // namespace oci
