#include "s3/reader.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "http/status.h"

namespace s3 {
namespace {

// The size from "bytes FIRST-LAST/SIZE", where FIRST is what was asked for; 0 otherwise.
uint64_t size_in(const std::string& content_range, uint64_t first) {
    const std::string begin = "bytes " + std::to_string(first) + "-";
    const size_t slash = content_range.find('/');
    if (!content_range.starts_with(begin) || slash == std::string::npos) return 0;
    uint64_t size = 0;
    (void)std::from_chars(content_range.data() + slash + 1, content_range.data() + content_range.size(), size);
    return size;
}

}  // namespace

Reader::Reader(Client& client, std::string key, uint64_t first, uint64_t end)
    : client_(client), key_(std::move(key)), position_(first), end_(end) {}

Reader::~Reader() {
    std::unique_ptr<http::Stream> stream = client_.take_parked(parked_);
    if (stream && stream->ended()) client_.give_back(std::move(stream));
}

void Reader::open() {
    std::unique_ptr<http::Stream> stream = client_.take_stream();
    const std::string last = end_ == UINT64_MAX ? "" : std::to_string(end_ - 1);
    const http::Request request{.url = client_.url(key_), .headers = {"Range: bytes=" + std::to_string(position_) + "-" + last}};
    const http::Response answer = stream->open(request);
    const std::string what = "GET " + request.url;
    if (answer.status == http::kNotFound) throw base::Error(what + ": there is no such object");
    if (answer.status == http::kNotSatisfiable) {  // nothing is left of it
        end_ = position_;
        return;
    }
    if (answer.status != http::kPartialContent)
        throw base::Error(what + ": status " + std::to_string(answer.status) + ": " + error_text(answer.body));
    size_ = size_in(answer.header("content-range"), position_);
    if (size_ <= position_) throw base::Error(what + ": the answer is not the part that was asked for");
    end_ = std::min(end_, size_);
    stream_ = std::move(stream);
}

size_t Reader::read(std::span<std::byte> buffer, Patience patience) {
    size_t got = 0;
    stream_ = client_.take_parked(parked_);
    const auto next = [&] {
        if (!stream_ && position_ < end_) open();
        const std::span<std::byte> wanted = buffer.first(std::min<uint64_t>(buffer.size(), end_ - position_));
        if (wanted.empty()) return;
        try {
            got = stream_->read(wanted);
            if (got < wanted.size()) throw http::TransientError("GET " + client_.url(key_) + ": the answer is cut");
        } catch (...) {
            stream_.reset();
            throw;
        }
    };
    client_.retry(patience, next);
    position_ += got;
    if (stream_) parked_ = client_.park(std::move(stream_));
    return got;
}

}  // namespace s3
