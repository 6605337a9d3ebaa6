#include "oci/oci_layout.h"

#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "oci/parse.h"

namespace oci {
namespace {

using nlohmann::json;

constexpr const char* kRefName = "org.opencontainers.image.ref.name";
constexpr int kMaxNesting = 8;

struct Candidate {
    std::string digest;
    std::string media_type;
    std::string name;
};

std::string path_of(const std::string& hex) {
    return "blobs/sha256/" + hex;
}

std::string read_blob(const Files& files, const std::string& digest) {
    const std::string hex = parse_digest(digest);
    const std::string path = path_of(hex);
    std::string text = read_small(files, path);
    const std::string actual = base::sha256_hex(std::as_bytes(std::span(text)));
    if (actual != hex) throw base::Error(path + " has the SHA-256 " + actual);
    return text;
}

json read_json(const Files& files, const std::string& digest) {
    const std::string text = read_blob(files, digest);
    return base::with_context(digest, [&text] { return base::parse_json(text); });
}

bool is_index(const std::string& media_type) {
    return media_type == "application/vnd.oci.image.index.v1+json" ||
           media_type == "application/vnd.docker.distribution.manifest.list.v2+json";
}

// A descriptor that names no platform may be for any. Attestations, which Docker stores beside an image, have "unknown/unknown" and a type.
bool may_run(const json& descriptor, const std::string& platform) {
    const auto annotations = descriptor.find("annotations");
    if (annotations != descriptor.end() && annotations->is_object() && annotations->contains("vnd.docker.reference.type")) return false;
    const auto described = descriptor.find("platform");
    return described == descriptor.end() || described->is_null() || fits_platform(*described, platform);
}

std::string name_of(const json& descriptor) {
    const auto annotations = descriptor.find("annotations");
    if (annotations == descriptor.end() || annotations->is_null()) return {};
    // containerd writes the full name here and only the tag there.
    const std::string name = get_text(*annotations, "io.containerd.image.name");
    return name.empty() ? get_text(*annotations, kRefName) : name;
}

std::vector<Candidate> candidates(const json& index, const std::string& platform) {
    std::vector<Candidate> result;
    const auto manifests = index.is_object() ? index.find("manifests") : index.end();
    if (!index.is_object() || manifests == index.end() || !manifests->is_array()) throw base::Error("the index has no list of manifests");
    for (const json& descriptor : *manifests) {
        const std::string digest = get_text(descriptor, "digest");  // throws where it is not an object
        if (may_run(descriptor, platform)) result.push_back({digest, get_text(descriptor, "mediaType"), name_of(descriptor)});
    }
    return result;
}

Candidate choose(const std::vector<Candidate>& list, const std::string& wanted, const std::string& platform) {
    std::string names;
    for (const Candidate& candidate : list) {
        if (!wanted.empty() && candidate.name == wanted) return candidate;
        names += (names.empty() ? "" : ", ") + (candidate.name.empty() ? candidate.digest : candidate.name);
    }
    if (list.empty()) throw base::Error("there is no image for " + platform + " in it");
    if (!wanted.empty()) throw base::Error("there is no image \"" + wanted + "\" for " + platform + " in it, only " + names);
    if (list.size() > 1) throw base::Error("several images are in it; say which by :NAME behind the file: " + names);
    return list[0];
}

}  // namespace

std::string choose_manifest(const json& index, const std::string& platform) {
    return choose(candidates(index, platform), "", platform).digest;
}

Image open_oci_layout(const std::shared_ptr<const Files>& files, const std::string& wanted, const std::string& platform) {
    const json index = base::with_context("index.json", [&] { return base::parse_json(read_small(*files, "index.json")); });
    Candidate chosen = base::with_context("index.json", [&] { return choose(candidates(index, platform), wanted, platform); });
    const std::string name = chosen.name;
    json manifest = read_json(*files, chosen.digest);
    for (int i = 0; is_index(chosen.media_type); i++) {
        if (i == kMaxNesting) throw base::Error("indexes nested too deep");
        chosen = base::with_context(chosen.digest, [&] { return choose(candidates(manifest, platform), "", platform); });
        manifest = read_json(*files, chosen.digest);
    }

    return base::with_context("manifest " + chosen.digest, [&] {
        const auto layers = manifest.is_object() ? manifest.find("layers") : manifest.end();
        const auto config = manifest.is_object() ? manifest.find("config") : manifest.end();
        if (!manifest.is_object() || layers == manifest.end() || !layers->is_array() || config == manifest.end()) {
            throw base::Error("it is not an image manifest");
        }
        Image image = parse_image_config(read_blob(*files, get_text(*config, "digest")), layers->size(), platform);
        for (size_t i = 0; i < layers->size(); i++) {
            const std::string hex = parse_digest(get_text((*layers)[i], "digest"));
            set_blob(image.layers[i], files, path_of(hex), hex);
        }
        const bool whole = name.find(':') != std::string::npos || name.find('/') != std::string::npos;
        if (whole) {
            set_name(image, name);
        } else {
            image.tag = name;
        }
        return image;
    });
}

}  // namespace oci
