#include "oci/parse.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <system_error>

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

Platform make_platform(const std::string& os, const std::string& architecture, const std::string& variant) {
    const auto lower = [](std::string text) {
        std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        return text;
    };
    Platform platform{lower(os), lower(architecture), lower(variant)};
    std::string& name = platform.architecture;
    std::string& level = platform.variant;
    if (!level.empty() && level[0] >= '0' && level[0] <= '9') level.insert(0, "v");
    if (name == "x86_64" || name == "x86-64") name = "amd64";
    if (name == "i386" || name == "i486" || name == "i586" || name == "i686" || name == "x86") name = "386";
    if (name == "aarch64") name = "arm64";
    if (name == "armhf" || name == "armv7" || name == "armv7l") name = "arm", level = "v7";
    if (name == "armel" || name == "armv6" || name == "armv6l") name = "arm", level = "v6";
    if (name == "arm" && level.empty()) level = "v7";
    if ((name == "amd64" && level == "v1") || (name == "arm64" && level == "v8")) level.clear();
    return platform;
}

Platform parse_platform(const std::string& text) {
    const size_t first = text.find('/');
    const size_t second = first == std::string::npos ? first : text.find('/', first + 1);
    const bool whole = first != std::string::npos && first > 0 && first + 1 < text.size() &&
                       (second == std::string::npos ||
                        (second > first + 1 && second + 1 < text.size() && text.find('/', second + 1) == std::string::npos));
    if (!whole) throw base::Error("\"" + text + "\" is not a platform: OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT");
    return make_platform(text.substr(0, first), text.substr(first + 1, second - first - 1),
                         second == std::string::npos ? "" : text.substr(second + 1));
}

std::optional<unsigned> platform_rank(const nlohmann::json& object, const Platform& wanted) {
    constexpr unsigned kNoVariant = 1;
    constexpr unsigned kOtherVariant = 2;
    constexpr unsigned kUnstated = 1000;
    const std::string os = get_text(object, "os");
    const std::string architecture = get_text(object, "architecture");
    const Platform stated = make_platform(os, architecture, get_text(object, "variant"));
    if (!os.empty() && stated.os != wanted.os) return std::nullopt;
    if (architecture.empty()) return kUnstated;
    if (stated.architecture != wanted.architecture) return std::nullopt;
    if (stated.variant == wanted.variant) return 0;
    if (stated.variant.empty()) return kNoVariant;
    const auto level = [](const std::string& variant) {
        unsigned value = 0;
        const char* const end = variant.data() + variant.size();
        return variant.starts_with('v') && std::from_chars(variant.data() + 1, end, value).ptr == end ? std::min(value, 100U) : 100U;
    };
    if (!wanted.variant.empty() && level(stated.variant) > level(wanted.variant)) return std::nullopt;
    return kOtherVariant + level(stated.variant);
}

bool same_reference(const std::string& a, const std::string& b) {
    const auto whole = [](const std::string& reference) {
        Image image;
        set_name(image, reference);
        return image.name + ":" + image.tag;
    };
    return whole(a) == whole(b);
}

std::optional<size_t> parse_index(const std::string& wanted) {
    size_t index = 0;
    const char* const end = wanted.data() + wanted.size();
    if (wanted.size() < 2 || wanted[0] != '@') return std::nullopt;
    const auto [stop, error] = std::from_chars(wanted.data() + 1, end, index);
    return error == std::errc() && stop == end ? std::optional(index) : std::nullopt;
}

Image parse_image_config(const std::string& text, size_t layers, const std::string& platform) {
    Image image;
    image.id = base::sha256_hex(std::as_bytes(std::span(text)));
    image.config = base::parse_json(text);
    if (!platform_rank(image.config, parse_platform(platform))) {
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
    for (const std::string_view prefix : {"docker.io/", "index.docker.io/", "localhost/", "library/"}) {
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
