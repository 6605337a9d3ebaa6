#include "registry/server/image_content.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace registry::server {
namespace {

std::optional<uint64_t> number(std::string_view text) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || end != text.data() + text.size()) return std::nullopt;
    if (error == std::errc::result_out_of_range) return UINT64_MAX;
    return error == std::errc() ? std::optional(value) : std::nullopt;
}

}  // namespace

// A chunk that cannot be opened then becomes an error's answer. On another machine it would have to be waited for.
void ImageContent::expect(uint64_t first, uint64_t length) {
    end_ = first + length;
    if (!slow()) open_chunk_at(first);
}

void ImageContent::open_chunk_at(uint64_t offset) {
    const auto number = static_cast<size_t>(offset / descriptor_.chunk_size);
    if (reader_ && number_ == number) return;
    const uint64_t within = offset % descriptor_.chunk_size;
    const uint64_t start = offset - within;
    reader_ = storage_.open(descriptor_.chunks[number],
                            {.first = within, .end = std::min(descriptor_.chunk_length(number), end_ - start), .soon = !began_});
    number_ = number;
    began_ = true;
}

size_t ImageContent::read(uint64_t offset, std::span<std::byte> buffer) {
    const auto number = static_cast<size_t>(offset / descriptor_.chunk_size);
    if (number >= descriptor_.chunks.size()) return 0;
    open_chunk_at(offset);
    const uint64_t within = offset % descriptor_.chunk_size;
    const uint64_t left = descriptor_.chunk_length(number) - within;
    const size_t n = reader_->read(within, buffer.first(std::min<uint64_t>(buffer.size(), left)));
    if (n == 0) throw base::Error("chunk " + descriptor_.chunks[number] + " is cut");
    return n;
}

// `read` ends with each chunk, so `data` is of one.
void ImageContent::check(uint64_t offset, std::span<const std::byte> data) {
    const auto number = static_cast<size_t>(offset / descriptor_.chunk_size);
    const uint64_t within = offset % descriptor_.chunk_size;
    const uint64_t length = descriptor_.chunk_length(number);
    if (within == 0 && offset + length <= end_) hasher_.emplace(base::Hasher::Kind::sha256);
    if (within > 0 && offset != hashed_) hasher_.reset();
    if (!hasher_) return;
    hasher_->update(data);
    hashed_ = offset + data.size();
    if (within + data.size() < length) return;
    const std::string sha256 = hasher_->hex();
    hasher_.reset();
    if (sha256 != descriptor_.chunks[number])
        throw base::Error("chunk " + descriptor_.chunks[number] + ": the store gives other bytes, whose SHA-256 is " + sha256);
}

Range parse_range(const std::string& header, uint64_t size) {
    const Range whole{.kind = Range::Kind::whole, .first = 0, .length = size};
    const Range impossible{.kind = Range::Kind::impossible, .first = 0, .length = 0};
    constexpr std::string_view kUnit = "bytes=";
    if (!header.starts_with(kUnit)) return whole;
    const std::string_view spec = std::string_view(header).substr(kUnit.size());
    const size_t dash = spec.find('-');
    if (dash == std::string_view::npos) return whole;
    const std::optional<uint64_t> first = number(spec.substr(0, dash));
    const std::optional<uint64_t> last = number(spec.substr(dash + 1));
    if (dash == 0) {
        if (!last) return whole;
        const uint64_t length = std::min(*last, size);
        return length == 0 ? impossible : Range{.kind = Range::Kind::part, .first = size - length, .length = length};
    }
    if (!first || (!last && dash + 1 < spec.size()) || (last && *last < *first)) return whole;
    if (*first >= size) return impossible;
    return {.kind = Range::Kind::part, .first = *first, .length = std::min(last.value_or(size - 1), size - 1) - *first + 1};
}

}  // namespace registry::server
