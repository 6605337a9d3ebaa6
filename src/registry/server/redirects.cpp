#include "registry/server/redirects.h"

#include <openssl/rand.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "base/error.h"
#include "base/hex.h"
#include "registry/server/image_content.h"
#include "registry/server/maintenance.h"

namespace registry::server {
namespace {

constexpr unsigned kPopular = 2;         // downloads of the whole image, the last of which has it composed
constexpr size_t kMostCounted = 10'000;  // images
constexpr Time kObjectClaim = 60;        // seconds
constexpr Time kRenewed = 10;
constexpr size_t kRead = 1 << 20;
// Seconds that an object stays after its last use, so that whoever was sent there finds it. A use may be noted ten seconds later.
constexpr Time kStays = Redirects::kLifetime + 10;

std::string new_object_name() {
    constexpr size_t kBytes = 20;
    unsigned char random[kBytes];
    if (RAND_bytes(random, kBytes) != 1) throw base::Error("OpenSSL has no random bytes");
    return base::to_hex(std::as_bytes(std::span(random)));
}

}  // namespace

Redirects::Redirects(Service& service, ImageObjects& objects, uint64_t quota)
    : service_(service), objects_(objects), quota_(quota), keeper_([this](const std::stop_token& stop) { keep(stop); }) {}

void Redirects::stop() {
    stopping_ = true;
    composer_.stop();
    keeper_.request_stop();
    keeper_.join();
}

std::optional<std::string> Redirects::url(const Upload& upload, Time longest, bool whole) {
    const std::optional<std::string> object = service_.metadata().use_composed(upload.id, std::time(nullptr));
    if (!object && whole && upload.descriptor.size <= quota_) count(upload.id);
    if (!object || longest <= 0) return std::nullopt;
    sent_++;
    return objects_.url(*object, std::chrono::seconds(std::min(longest, kLifetime)));
}

void Redirects::count(const std::string& id) {
    const std::lock_guard lock(mutex_);
    if (asked_.size() >= kMostCounted) asked_.clear();
    if (++asked_[id] < kPopular) return;
    asked_.erase(id);
    (void)composer_.post([this, id] { compose(id); });
}

// The row comes first. So nothing is in the store that no row knows, and of two servers that make room at once each sees what the other
// wants.
void Redirects::compose(const std::string& id) {
    Metadata& metadata = service_.metadata();
    std::string object;
    try {
        const std::optional<Upload> upload = metadata.find_upload(id);
        const std::string name = new_object_name();
        const Time now = std::time(nullptr);
        if (stopping_ || !upload || !metadata.add_composed(id, name, upload->descriptor.size, now, now + kObjectClaim)) return;
        object = name;
        {
            const std::lock_guard lock(mutex_);
            lost_ = false;
            writing_ = name;
            renewed_ = now;
        }
        // Now, since what is blocked before the row is there leaves no mark on it.
        const Upload served = service_.find_whole(id);
        if (make_room()) {
            write(served, name);
            if (metadata.finish_composed(name, std::time(nullptr))) {
                object.clear();
                composed_++;
                spdlog::info("image {} is in the store as one object of {} bytes", served.descriptor.sha3, served.descriptor.size);
            }
        }
    } catch (const std::exception& e) {
        spdlog::warn("cannot compose the image of upload {}: {}", id, e.what());
    }
    {
        const std::lock_guard lock(mutex_);
        writing_.clear();
    }
    if (object.empty()) return;
    try {
        // Where the answer to `finish_composed` was lost, clients may be sent to the object, which is whole: it stays then.
        if (!metadata.renew_composed(object, 0)) return;
        objects_.remove(object);
        metadata.remove_composed(object);
    } catch (const std::exception& e) {
        spdlog::warn("the object {} stays until its claim is over: {}", object, e.what());
    }
}

void Redirects::write(const Upload& upload, const std::string& object) {
    const uint64_t size = upload.descriptor.size;
    const std::unique_ptr<ObjectWriter> writer = objects_.begin(object, size);
    ImageContent content(service_.storage(), upload.descriptor);
    content.expect(0, size);
    std::vector<std::byte> block(kRead);
    for (uint64_t offset = 0; offset < size;) {
        if (stopping_) throw base::Error("the registry is ending");
        if (lost_) throw base::Error("it is not wanted any more");
        const size_t n = content.read(offset, std::span(block).first(std::min<uint64_t>(block.size(), size - offset)));
        content.check(offset, std::span(block).first(n));
        writer->write(std::span(block).first(n));
        offset += n;
    }
    writer->finish();
}

// Returns whether all objects, those that are being written among them, are within the quota then.
bool Redirects::make_room() {
    Metadata& metadata = service_.metadata();
    const std::vector<Composed> all = metadata.composed();
    uint64_t used = 0;
    for (const Composed& image : all)
        used += image.size;
    const Time before = std::time(nullptr) - kStays;
    for (const Composed& image : all) {
        if (used <= quota_) break;
        if (!image.ready || !metadata.retire_composed(image.object, before)) continue;
        spdlog::info("removing the object of upload {}, which was not used for longest", image.id);
        objects_.remove(image.object);
        metadata.remove_composed(image.object);
        used -= image.size;
    }
    return used <= quota_;
}

void Redirects::keep(const std::stop_token& stop) {
    while (wait_for(std::chrono::seconds(1), stop)) {
        try {
            tick(std::time(nullptr));
        } catch (const std::exception& e) {
            spdlog::error("cannot look after the objects in the store: {}", e.what());
        }
    }
}

void Redirects::tick(Time now) {
    std::string object;
    {
        const std::lock_guard lock(mutex_);
        if (now - renewed_ >= kRenewed || now < renewed_) object = writing_;
    }
    if (!object.empty()) {
        const bool ours = service_.metadata().renew_composed(object, now + kObjectClaim);
        const std::lock_guard lock(mutex_);
        renewed_ = now;
        if (!ours && writing_ == object) lost_ = true;
    }
    (void)remove_useless_objects(service_.metadata(), objects_, now);
}

}  // namespace registry::server
