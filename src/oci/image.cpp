#include "oci/image.h"

#include <string_view>

#include "base/error.h"
#include "oci/docker_archive.h"
#include "oci/files.h"
#include "oci/oci_layout.h"

namespace oci {
namespace {

struct Place {
    std::string path;
    std::string wanted;  // the image's name behind the path
};

// What is there counts: a path may have colons in it.
Place split(const std::string& text) {
    for (size_t end = text.size(); end != std::string::npos && end > 0; end = text.rfind(':', end - 1)) {
        std::error_code error;
        if (std::filesystem::exists(text.substr(0, end), error)) {
            return {text.substr(0, end), end == text.size() ? "" : text.substr(end + 1)};
        }
    }
    return {text, ""};
}

Image open_place(const std::string& transport, const Place& place) {
    const std::shared_ptr<const Files> files = open_files(place.path);
    const bool docker = files->find("manifest.json").has_value();
    const bool oci = files->find("index.json").has_value();
    if (transport == "docker-archive" && !docker) throw base::Error("not a docker archive: it has no manifest.json");
    if (transport.starts_with("oci") && !oci) throw base::Error("not an OCI layout: it has no index.json");
    if (!docker && !oci) throw base::Error("not an image: it has neither manifest.json (docker save) nor index.json (OCI)");
    // Newer Docker saves both; manifest.json has the names.
    return docker && !transport.starts_with("oci") ? open_docker_archive(files, place.wanted) : open_oci_layout(files, place.wanted);
}

}  // namespace

StreamPtr open_layer(const Layer& layer) {
    StreamPtr blob = layer.open_blob();
    if (!layer.digest.empty()) blob = check_sha256(std::move(blob), layer.digest, "its blob");
    return check_sha256(decompress(std::move(blob)), layer.diff_id, "its tar");
}

StreamPtr open_checked_layer(const Layer& layer) {
    return decompress(layer.open_blob());
}

Image open_image(const std::string& reference) {
    std::string transport;
    Place place;
    for (const std::string_view known : {"docker-archive", "oci-archive", "oci"}) {
        if (!reference.starts_with(std::string(known) + ":")) continue;
        transport = known;
        place = split(reference.substr(known.size() + 1));
        break;
    }
    if (transport.empty()) place = split(reference);
    return base::with_context(place.path, [&] {
        Image image = open_place(transport, place);
        const std::filesystem::path path = std::filesystem::path(place.path).lexically_normal();
        const std::filesystem::path last = path.has_filename() ? path.filename() : path.parent_path().filename();
        if (image.name.empty()) image.name = last.stem().string();
        if (image.tag.empty()) image.tag = "latest";
        return image;
    });
}

}  // namespace oci
