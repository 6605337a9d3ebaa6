#include "oci/parse.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"

namespace oci {
namespace {

const nlohmann::json& get(const nlohmann::json& object, const char* key) {
    static const nlohmann::json kNull;
    if (!object.is_object()) throw base::Error("not a JSON object where " + std::string(key) + " is looked for");
    const auto found = object.find(key);
    return found == object.end() ? kNull : *found;
}

}  // namespace

bool is_sha256(std::string_view text) {
    return text.size() == 64 &&
           std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string parse_digest(const std::string& digest) {
    constexpr std::string_view kPrefix = "sha256:";
    if (!digest.starts_with(kPrefix) || !is_sha256(std::string_view(digest).substr(kPrefix.size()))) {
        throw base::Error("\"" + digest + "\" is not a SHA-256 digest");
    }
    return digest.substr(kPrefix.size());
}

std::string get_text(const nlohmann::json& object, const char* key) {
    const nlohmann::json& value = get(object, key);
    if (value.is_null()) return {};
    if (!value.is_string()) throw base::Error(std::string(key) + " is not a text");
    return value.get<std::string>();
}

std::vector<std::string> get_texts(const nlohmann::json& object, const char* key) {
    const nlohmann::json& value = get(object, key);
    if (value.is_null()) return {};
    const bool texts = value.is_array() && std::all_of(value.begin(), value.end(), [](const auto& element) { return element.is_string(); });
    if (!texts) throw base::Error(std::string(key) + " is not a list of texts");
    return value.get<std::vector<std::string>>();
}

bool fits_platform(const nlohmann::json& object, const std::string& platform) {
    const char* keys[] = {"os", "architecture", "variant"};
    size_t start = 0;
    for (const char* key : keys) {
        if (start > platform.size()) break;
        const size_t end = std::min(platform.find('/', start), platform.size());
        const std::string value = get_text(object, key);
        if (!value.empty() && platform.compare(start, end - start, value) != 0) return false;
        start = end + 1;
    }
    return true;
}

Image parse_image_config(const std::string& text, size_t layers, const std::string& platform) {
    Image image;
    image.id = base::sha256_hex(std::as_bytes(std::span(text)));
    image.config = base::parse_json(text);
    if (!fits_platform(image.config, platform)) {
        throw base::Error("the image is for " + get_text(image.config, "os") + "/" + get_text(image.config, "architecture") + ", not for " +
                          platform);
    }
    const nlohmann::json& rootfs = get(image.config, "rootfs");
    const std::vector<std::string> diff_ids = rootfs.is_null() ? std::vector<std::string>() : get_texts(rootfs, "diff_ids");
    if (diff_ids.size() != layers) {
        throw base::Error("the configuration has " + std::to_string(diff_ids.size()) + " diff_ids for " + std::to_string(layers) +
                          " layers");
    }
    for (const std::string& diff_id : diff_ids) {
        Layer layer;
        layer.diff_id = parse_digest(diff_id);
        layer.name = "layer " + std::to_string(image.layers.size() + 1) + " (sha256:" + layer.diff_id.substr(0, 12) + ")";
        image.layers.push_back(std::move(layer));
    }
    return image;
}

void set_name(Image& image, std::string reference) {
    for (const std::string_view prefix : {"docker.io/", "localhost/", "library/"}) {
        if (reference.starts_with(prefix)) reference.erase(0, prefix.size());
    }
    // A colon before a slash is a port.
    const size_t colon = reference.rfind(':');
    const size_t slash = reference.rfind('/');
    const bool tagged = colon != std::string::npos && (slash == std::string::npos || colon > slash);
    image.name = tagged ? reference.substr(0, colon) : reference;
    image.tag = tagged ? reference.substr(colon + 1) : "latest";
}

void set_blob(Layer& layer, const std::shared_ptr<const Files>& files, const std::string& path, const std::string& digest) {
    const std::optional<Files::File> file = base::with_context(layer.name, [&] { return files->find(path); });
    if (!file) throw base::Error(layer.name + ": " + path + " is missing");
    layer.size = file->size;
    layer.digest = digest;
    layer.open_blob = file->open;
}

}  // namespace oci
