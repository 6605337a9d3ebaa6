#include "oci/image.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "base/error.h"
#include "oci/docker_archive.h"
#include "oci/engine.h"
#include "oci/files.h"
#include "oci/oci_layout.h"
#include "oci/registry.h"
#include "oci/rootfs.h"
#include "oci/tar.h"

namespace oci {
namespace {

struct Place {
    std::string path;
    std::string wanted;  // the image's name behind the path
};

// An existing file decides: a path may contain colons.
Place split(const std::string& text) {
    for (size_t end = text.size(); end != std::string::npos && end > 0; end = text.rfind(':', end - 1)) {
        std::error_code error;
        if (std::filesystem::exists(text.substr(0, end), error)) {
            return {text.substr(0, end), end == text.size() ? "" : text.substr(end + 1)};
        }
    }
    return {text, ""};
}

// Says what the file is instead, where that can be told.
[[noreturn]] void refuse(const Place& place, const Files& files) {
    if (files.has("Dockerfile")) throw base::Error("it has a Dockerfile: give the folder as --dockerfile " + place.path);
    throw base::Error(
        "neither an image archive (no manifest.json or index.json) nor a root file system (none of bin, etc, usr, sbin, lib at its top); "
        "rootfs: in front takes it for one");
}

Image open_place(const std::string& transport, const Place& place, const OpenOptions& options) {
    const std::string& platform = options.platform;
    std::error_code error;
    const bool folder = std::filesystem::is_directory(place.path, error);
    if (transport == "rootfs") return folder ? open_root_folder(place.path) : open_root_tar(place.path, options.limit);
    const std::shared_ptr<const Files> files = open_files(place.path, options.limit);
    const bool docker = files->find("manifest.json").has_value();
    const bool oci = files->find("index.json").has_value();
    if (transport == "docker-archive" && !docker) throw base::Error("not a docker archive: it has no manifest.json");
    if (transport.starts_with("oci") && !oci) throw base::Error("not an OCI layout: it has no index.json");
    if (!docker && !oci && folder && is_root_folder(place.path)) return open_root_folder(place.path);
    if (!docker && !oci && !folder && is_root_tar(*files)) return open_root_tar(place.path, options.limit);
    if (!docker && !oci) refuse(place, *files);
    // Newer Docker versions write both; manifest.json has the names.
    return docker && !transport.starts_with("oci") ? open_docker_archive(files, place.wanted, platform)
                                                   : open_oci_layout(files, place.wanted, platform);
}

// A name of an image: "[host[:port]/]path[:tag][@digest]", in small letters, as registries want it.
bool is_name(const std::string& text) {
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("._-/:@").find(c) != std::string_view::npos;
    };
    return !text.empty() && std::all_of(text.begin(), text.end(), plain) && std::isalnum(static_cast<unsigned char>(text[0])) != 0;
}

Image open_name(const std::string& name, const OpenOptions& options) {
    std::string tried;
    if (auto image = open_engine_image(name, options, tried)) return *std::move(image);
    return base::with_context("no such file or folder; " + tried + "; the registry", [&] { return open_registry_image(name, options); });
}

}  // namespace

StreamPtr open_layer(const Layer& layer) {
    StreamPtr blob = layer.open_blob();
    if (!layer.digest.empty()) blob = check_sha256(std::move(blob), layer.digest, "its blob");
    return check_sha256(bound(decompress(std::move(blob), layer.limit), layer.left), layer.diff_id, "its tar");
}

StreamPtr open_unchecked_layer(const Layer& layer) {
    return bound(decompress(layer.open_blob(), layer.limit), layer.left);
}

bool is_plain_tar(const Layer& layer) {
    return !layer.open_entries && !is_compressed(layer.open_blob()->next());
}

StreamPtr open_plain_tar(const Layer& layer) {
    StreamPtr tar = check_sha256(layer.open_blob(), layer.diff_id, "its tar");
    // The same bytes: one hash tells of both.
    if (layer.digest.empty() || layer.digest == layer.diff_id) return tar;
    return check_sha256(std::move(tar), layer.digest, "its blob");
}

std::unique_ptr<Entries> read_layer(const Layer& layer) {
    if (layer.open_entries) return layer.open_entries();
    return std::make_unique<TarReader>(open_layer(layer));
}

std::unique_ptr<Entries> read_unchecked_layer(const Layer& layer) {
    if (layer.open_entries) return layer.open_entries();
    return std::make_unique<TarReader>(open_unchecked_layer(layer));
}

namespace {

Image open_any(const std::string& reference, const OpenOptions& options) {
    constexpr std::string_view kDaemon = "docker-daemon:";
    constexpr std::string_view kRegistry = "docker://";
    if (reference.starts_with(kRegistry)) return open_registry_image(reference.substr(kRegistry.size()), options);
    if (reference.starts_with(kDaemon)) {
        std::string tried;
        auto image = open_engine_image(reference.substr(kDaemon.size()), options, tried);
        if (!image) throw base::Error(tried);
        return *std::move(image);
    }
    std::string transport;
    Place place;
    for (const std::string_view known : {"docker-archive", "oci-archive", "oci", "rootfs"}) {
        if (!reference.starts_with(std::string(known) + ":")) continue;
        transport = known;
        place = split(reference.substr(known.size() + 1));
        break;
    }
    if (transport.empty()) {
        place = split(reference);
        std::error_code error;
        if (!std::filesystem::exists(place.path, error) && is_name(reference)) return open_name(reference, options);
    }
    return base::with_context(place.path, [&] {
        Image image = open_place(transport, place, options);
        const std::filesystem::path path = std::filesystem::absolute(place.path).lexically_normal();
        const std::filesystem::path last = path.has_filename() ? path.filename() : path.parent_path().filename();
        if (image.name.empty()) image.name = last.stem().string();
        if (image.tag.empty()) image.tag = "latest";
        return image;
    });
}

}  // namespace

Image open_image(const std::string& reference, const OpenOptions& options) {
    Image image = open_any(reference, options);
    for (Layer& layer : image.layers)
        layer.limit = options.limit;
    return image;
}

}  // namespace oci
