#include "registry/server/page/stored_image.h"

#include <algorithm>
#include <semaphore>

#include "base/error.h"
#include "http/client.h"
#include "registry/server/errors.h"

namespace registry::server::page {

StoredImage::StoredImage(const Storage& storage, Descriptor descriptor)
    : storage_(storage), descriptor_(std::move(descriptor)), end_(Clock::now() + kLongest) {}

// A piece may lie in several chunks: their sizes are the uploader's.
const std::vector<std::byte>& StoredImage::piece(uint64_t number) {
    const auto kept = std::find_if(kept_.begin(), kept_.end(), [number](const auto& one) { return one.first == number; });
    if (kept != kept_.end()) {
        kept_.splice(kept_.begin(), kept_, kept);
        return kept_.front().second;
    }
    const uint64_t first = number * kPiece;
    std::vector<std::byte> bytes(std::min(kPiece, descriptor_.size - first));
    for (size_t filled = 0; filled < bytes.size();) {
        const uint64_t position = first + filled;
        const auto chunk = static_cast<size_t>(position / descriptor_.chunk_size);
        const uint64_t within = position % descriptor_.chunk_size;
        const auto length = static_cast<size_t>(std::min<uint64_t>(bytes.size() - filled, descriptor_.chunk_length(chunk) - within));
        const auto reader = storage_.open(descriptor_.chunks.at(chunk), {.first = within, .end = within + length, .soon = true});
        for (size_t done = 0; done < length;) {
            const size_t n = reader->read(within + done, std::span(bytes).subspan(filled + done, length - done));
            if (n == 0) throw base::Error("chunk " + descriptor_.chunks[chunk] + " is cut");
            done += n;
        }
        filled += length;
    }
    if (kept_.size() == kKept) kept_.pop_back();
    kept_.emplace_front(number, std::move(bytes));
    return kept_.front().second;
}

gvmi::ReadAt StoredImage::reader() {
    return [this](std::span<std::byte> buffer, uint64_t position) {
        if (Clock::now() > end_)
            throw HttpError(http::kUnavailable, "this takes too long here; pull the image, and use gvmi", kRetryAfterSeconds);
        size_t filled = 0;
        while (filled < buffer.size() && position + filled < descriptor_.size) {
            const uint64_t at = position + filled;
            const std::vector<std::byte>& bytes = piece(at / kPiece);
            const auto within = static_cast<size_t>(at % kPiece);
            const size_t n = std::min(buffer.size() - filled, bytes.size() - within);
            std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(within), n, buffer.begin() + static_cast<std::ptrdiff_t>(filled));
            filled += n;
        }
        return filled;
    };
}

namespace {

// The work is done by threads that pushes need too.
constexpr int kMostAtOnce = 6;
std::counting_semaphore<kMostAtOnce> turns(kMostAtOnce);

// An image's defects are its uploader's.
template <typename F>
void readable(F f) {
    try {
        f();
    } catch (const HttpError&) {
        throw;
    } catch (const http::TransientError&) {
        throw;
    } catch (const base::Error& e) {
        throw HttpError(http::kConflict, std::string("this image cannot be shown: ") + e.what());
    }
}

}  // namespace

const gvmi::Limits OpenImage::kLimits{.entries = 300'000, .bytes = uint64_t{2} << 30, .path_bytes = 64 << 20};

OpenImage::OpenImage(Service& service, const Upload& upload)
    : descriptor_(upload.descriptor), stored_(service.storage(), upload.descriptor) {
    if (!turns.try_acquire())
        throw HttpError(http::kUnavailable, "too many images are being looked at; try again in a moment", kRetryAfterSeconds);
    try {
        readable([this] {
            image_ = gvmi::read_image(stored_.reader(), stored_.size(), "it");
            reader_.emplace(stored_.reader());
        });
    } catch (...) {
        turns.release();
        throw;
    }
}

OpenImage::~OpenImage() {
    turns.release();
}

void OpenImage::look(const std::function<void(gvmi::SquashfsReader&)>& f) {
    readable([&] { f(*reader_); });
}

}  // namespace registry::server::page
