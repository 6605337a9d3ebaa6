#include "oci/docker_archive.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "oci/parse.h"

namespace oci {
namespace {

// How a user can name an image of an archive: by its names, else by its place.
std::string names_of(const nlohmann::json& manifests) {
    std::string names;
    for (size_t i = 0; i < manifests.size(); i++) {
        const std::vector<std::string> tags = get_texts(manifests[i], "RepoTags");
        for (const std::string& tag : tags.empty() ? std::vector<std::string>{"@" + std::to_string(i)} : tags)
            names += (names.empty() ? "" : ", ") + tag;
    }
    return names;
}

// The requested image, or the only one.
const nlohmann::json& choose(const nlohmann::json& manifests, const std::string& wanted) {
    if (wanted.empty() && manifests.size() == 1) return manifests[0];
    if (wanted.empty()) throw base::Error("several images are in it; say which by :NAME behind the file: " + names_of(manifests));
    for (const bool exact : {true, false}) {
        for (const nlohmann::json& manifest : manifests) {
            for (const std::string& tag : get_texts(manifest, "RepoTags")) {
                if (exact ? tag == wanted : same_reference(tag, wanted)) return manifest;
            }
        }
    }
    const std::optional<size_t> index = parse_index(wanted);
    if (index && *index < manifests.size()) return manifests[*index];
    throw base::Error("there is no image \"" + wanted + "\" in it, only " + names_of(manifests));
}

// The digest in a path: blobs/sha256/HEX.
std::string digest_in(const std::string& path) {
    constexpr std::string_view kBlobs = "blobs/sha256/";
    if (!path.starts_with(kBlobs) || !is_sha256(std::string_view(path).substr(kBlobs.size()))) return {};
    return path.substr(kBlobs.size());
}

}  // namespace

Image open_docker_archive(const std::shared_ptr<const Files>& files, const std::string& wanted, const std::string& platform) {
    const nlohmann::json manifests =
        base::with_context("manifest.json", [&] { return base::parse_json(read_small(*files, "manifest.json")); });
    if (!manifests.is_array() || manifests.empty()) throw base::Error("manifest.json: not a list of images");
    const nlohmann::json& manifest = choose(manifests, wanted);
    const std::vector<std::string> paths = base::with_context("manifest.json", [&] { return get_texts(manifest, "Layers"); });
    const std::string config_path = base::with_context("manifest.json", [&] { return get_text(manifest, "Config"); });
    const std::string config = read_small(*files, config_path);
    Image image = base::with_context(config_path, [&] {
        Image parsed = parse_image_config(config, paths.size(), platform);
        // Its name is its digest, as HEX.json or blobs/sha256/HEX.
        const std::string stem = std::filesystem::path(config_path).stem().string();
        if (is_sha256(stem) && stem != parsed.id) throw base::Error("it has the SHA-256 " + parsed.id);
        return parsed;
    });
    for (size_t i = 0; i < paths.size(); i++)
        set_blob(image.layers[i], files, paths[i], digest_in(paths[i]));
    const std::vector<std::string> tags = get_texts(manifest, "RepoTags");
    if (!wanted.empty() && !parse_index(wanted)) {
        set_name(image, wanted);
    } else if (!tags.empty()) {
        set_name(image, tags[0]);
    }
    return image;
}

}  // namespace oci
