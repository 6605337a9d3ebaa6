#include "oci/oci_layout.h"

#include <algorithm>
#include <optional>
#include <set>
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
    unsigned rank = 0;  // as rank() gives it
    size_t place = 0;   // in the index
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

// How well a descriptor fits (platform_rank); none: not at all. Attestations, which Docker stores beside an image, have a type and the
// platform "unknown/unknown"; other artifacts, such as signatures, have a type.
std::optional<unsigned> rank(const json& descriptor, const Platform& platform) {
    const auto annotations = descriptor.find("annotations");
    if (annotations != descriptor.end() && annotations->is_object() && annotations->contains("vnd.docker.reference.type"))
        return std::nullopt;
    if (!get_text(descriptor, "artifactType").empty()) return std::nullopt;
    const auto described = descriptor.find("platform");
    const bool stated = described != descriptor.end() && !described->is_null();
    return platform_rank(stated ? *described : json::object(), platform);
}

std::string name_of(const json& descriptor) {
    const auto annotations = descriptor.find("annotations");
    if (annotations == descriptor.end() || annotations->is_null()) return {};
    // containerd writes the full name here and only the tag there.
    const std::string name = get_text(*annotations, "io.containerd.image.name");
    return name.empty() ? get_text(*annotations, kRefName) : name;
}

// Those that fit, the best first, and of equal ones the first of the index.
std::vector<Candidate> candidates(const json& index, const std::string& wanted_platform) {
    const Platform platform = parse_platform(wanted_platform);
    std::vector<Candidate> result;
    const auto manifests = index.is_object() ? index.find("manifests") : index.end();
    if (!index.is_object() || manifests == index.end() || !manifests->is_array()) throw base::Error("the index has no list of manifests");
    for (const json& descriptor : *manifests) {
        const std::string digest = get_text(descriptor, "digest");  // throws where it is not an object
        const size_t place = static_cast<size_t>(&descriptor - &manifests->front());
        if (const auto fit = rank(descriptor, platform))
            result.push_back({digest, get_text(descriptor, "mediaType"), name_of(descriptor), *fit, place});
    }
    std::stable_sort(result.begin(), result.end(), [](const Candidate& a, const Candidate& b) { return a.rank < b.rank; });
    return result;
}

// By its name, short names meaning complete ones; containerd writes the tag alone.
Candidate choose_named(const std::vector<Candidate>& list, const std::string& wanted, const std::string& platform,
                       const std::string& names) {
    for (const bool exact : {true, false}) {
        for (const Candidate& candidate : list) {
            if (exact ? candidate.name == wanted : !candidate.name.empty() && same_reference(candidate.name, wanted)) return candidate;
        }
    }
    if (const auto index = parse_index(wanted)) {
        for (const Candidate& candidate : list) {
            if (candidate.place == *index) return candidate;
        }
    }
    throw base::Error("there is no image \"" + wanted + "\" for " + platform + " in it, only " + names);
}

Candidate choose(const std::vector<Candidate>& list, const std::string& wanted, const std::string& platform) {
    if (list.empty()) throw base::Error("there is no image for " + platform + " in it");
    std::string names;
    std::set<std::string> named;
    for (const Candidate& candidate : list) {
        names += (names.empty() ? "" : ", ") + (candidate.name.empty() ? "@" + std::to_string(candidate.place) : candidate.name);
        if (!candidate.name.empty()) named.insert(candidate.name);
    }
    if (!wanted.empty()) return choose_named(list, wanted, platform, names);
    // Of one name, or without names, they are one image for several platforms.
    if (named.size() > 1) throw base::Error("several images are in it; say which by :NAME behind the file: " + names);
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
