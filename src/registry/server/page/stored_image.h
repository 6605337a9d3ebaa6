#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <utility>
#include <vector>

#include "gvmi/image.h"
#include "gvmi/squashfs_tree.h"
#include "registry/descriptor.h"
#include "registry/server/service.h"
#include "registry/server/storage.h"

namespace registry::server::page {

// A stored image for readers that go to and fro in it: pieces of its chunks, the last ones of which are kept. What is read for one page is
// bounded in time. For one thread.
class StoredImage {
public:
    StoredImage(const Storage& storage, Descriptor descriptor);

    uint64_t size() const { return descriptor_.size; }
    // Of this object, which must outlive it. Throws HttpError 503 after the time, and what Storage throws.
    gvmi::ReadAt reader();

private:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds kLongest{10};
    static constexpr uint64_t kPiece = 128 << 10;
    static constexpr size_t kKept = 64;  // pieces: 8 MiB

    const std::vector<std::byte>& piece(uint64_t number);

    const Storage& storage_;
    Descriptor descriptor_;
    Clock::time_point end_;
    std::list<std::pair<uint64_t, std::vector<std::byte>>> kept_;  // by their numbers in the image, the latest first
};

// A look into an image for one page. Only a few are made at once.
class OpenImage {
public:
    static const gvmi::Limits kLimits;  // for walks

    // Throws HttpError 409 where it is no image, 503 where too many are being looked at.
    OpenImage(Service& service, const Upload& upload);
    ~OpenImage();
    OpenImage(const OpenImage&) = delete;
    OpenImage& operator=(const OpenImage&) = delete;

    const Descriptor& descriptor() const { return descriptor_; }
    const gvmi::Image& image() const { return *image_; }
    // Calls `f` with a reader of its files. Throws HttpError 409 where it is damaged, and what `f` throws.
    void look(const std::function<void(gvmi::SquashfsReader&)>& f);

private:
    Descriptor descriptor_;
    StoredImage stored_;
    std::optional<gvmi::Image> image_;
    std::optional<gvmi::SquashfsReader> reader_;
};

}  // namespace registry::server::page
