// Images by their names, hashes and links, for those who may have them.
#include <ctime>

#include "base/hex.h"
#include "registry/server/errors.h"
#include "registry/server/link.h"
#include "registry/server/names.h"
#include "registry/server/service.h"
#include "registry/server/tokens.h"

namespace registry::server {
namespace {

constexpr size_t kSha3Digits = 56;

}  // namespace

Upload Service::find_by_tag(const std::string& text, const std::string& viewer) {
    const Name name = parse_name(text);
    const std::optional<std::string> id = metadata_.find_tag(name, viewer);
    if (!id) throw HttpError(http::kNotFound, "there is no image " + name.user + "/" + name.repository + ":" + name.tag);
    return served(find_any(*id));
}

Upload Service::find_by_hash(const std::string& sha3, const std::string& viewer) {
    if (!base::is_hex(sha3, kSha3Digits)) throw HttpError(http::kBadRequest, "a hash is 56 hex digits, those of an image's SHA3-224");
    const std::optional<std::string> id = metadata_.find_image(sha3, viewer);
    if (!id) throw HttpError(http::kNotFound, "there is no image with the hash " + sha3);
    return served(find_any(*id));
}

Upload Service::find(const std::string& id, const std::string& viewer) {
    std::optional<Upload> upload = find_any(id);
    if (upload && upload->hidden && !metadata_.is_visible(id, viewer)) upload.reset();
    return served(std::move(upload));
}

Upload Service::find_whole(const std::string& id) {
    return served(find_any(id));
}

std::string Service::link_key() {
    constexpr const char* kName = "links";
    {
        const std::lock_guard lock(mutex_);
        if (!link_key_.empty()) return link_key_;
    }
    std::string key = metadata_.secret(kName, new_token());
    const std::lock_guard lock(mutex_);
    link_key_ = std::move(key);
    return link_key_;
}

Upload Service::find_linked(const std::string& text) {
    const std::optional<Link> link = parse_link(text);
    const std::optional<PrivateImage> image = link ? metadata_.find_private(link->number, link->repository) : std::nullopt;
    if (!image || !is_signed(*link, *image, link_key())) throw HttpError(http::kNotFound, "there is no such link, or it was ended");
    if (std::time(nullptr) >= link->expires) throw HttpError(http::kForbidden, "this link is too old; ask for the image again");
    return served(find_any(image->id));
}

std::string Service::download_path(const std::string& id, const std::string& viewer) {
    if (viewer.empty() || metadata_.is_visible(id, "")) return std::string(kDownload) + id;
    const std::optional<PrivateImage> image = metadata_.find_private(id, viewer);
    if (!image) throw HttpError(http::kNotFound, "there is no such image");
    return std::string(kPrivateDownload) + make_link(*image, std::time(nullptr) + limits_.link_seconds, link_key());
}

Upload Service::served(std::optional<Upload> upload) {
    if (!upload || upload->state != State::full) throw HttpError(http::kNotFound, "there is no such image");
    refuse_blocked(upload->id, upload->descriptor);
    return *std::move(upload);
}

}  // namespace registry::server
