#include "registry/server/s3_objects.h"

#include <spdlog/spdlog.h>

#include <ctime>

#include "registry/server/s3_reader.h"
#include "s3/multipart.h"

namespace registry::server {
namespace {

constexpr const char* kComposed = "composed/";

class S3ObjectWriter : public ObjectWriter {
public:
    S3ObjectWriter(s3::Client& client, const std::string& key, uint64_t size) : writer_(client, key, size) {}
    void write(std::span<const std::byte> data) override { writer_.write(data); }
    void finish() override { writer_.finish(); }

private:
    s3::MultipartWriter writer_;
};

}  // namespace

std::unique_ptr<ObjectWriter> S3Objects::begin(const std::string& name, uint64_t size) {
    return std::make_unique<S3ObjectWriter>(client_, kComposed + name, size);
}

std::unique_ptr<ChunkReader> S3Objects::open(const std::string& name) {
    return std::make_unique<S3ChunkReader>(client_, kComposed + name, Wanted{});
}

// A registry that sends nobody to the store may have keys that were never meant for this, and is collected all the same.
std::vector<s3::PartialUpload> S3Objects::parts(const std::string& prefix, spdlog::level::level_enum level) {
    try {
        return client_.partial_uploads(prefix);
    } catch (const http::TransientError&) {
        throw;
    } catch (const base::Error& e) {
        spdlog::log(level, "uploads in parts may be left in the store: {}", e.what());
        return {};
    }
}

// First the parts: an upload that is finished meanwhile leaves an object, which goes next.
void S3Objects::remove(const std::string& name) {
    const std::string key = kComposed + name;
    for (const s3::PartialUpload& upload : parts(key, spdlog::level::warn)) {
        if (upload.key == key) client_.abort(upload);
    }
    client_.remove(key);
}

void S3Objects::list(const std::function<void(const std::string&, std::optional<uint64_t>)>& each) {
    const auto name_in = [](const std::string& key) { return key.substr(std::string_view(kComposed).size()); };
    for (const s3::PartialUpload& upload : parts(kComposed, spdlog::level::debug))
        each(name_in(upload.key), std::nullopt);
    client_.list(kComposed, [&](const s3::Object& object) { each(name_in(object.key), object.size); });
}

std::string S3Objects::url(const std::string& name, std::chrono::seconds lifetime) const {
    return client_.presigned(kComposed + name, std::time(nullptr), lifetime);
}

}  // namespace registry::server
