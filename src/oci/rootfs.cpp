#include "oci/rootfs.h"

#include <fcntl.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/fd.h"
#include "base/hash.h"
#include "oci/folder.h"

namespace oci {
namespace {

// Something that `docker export` and every distribution have.
constexpr std::array kTop = {"bin", "etc", "usr", "sbin", "lib"};

Image of_one_layer(Layer layer) {
    Image image;
    image.id = layer.diff_id;
    image.config = nlohmann::json::object();
    image.layers.push_back(std::move(layer));
    return image;
}

void put(base::Hasher& hasher, const std::string& text) {
    const std::string length = std::to_string(text.size()) + ":";
    hasher.update(std::as_bytes(std::span(length)));
    hasher.update(std::as_bytes(std::span(text)));
}

std::string id_of(Entries& entries) {
    base::Hasher hasher(base::Hasher::Kind::sha256);
    TarEntry entry;
    while (entries.next(entry)) {
        for (const std::string& text : {entry.path, entry.target})
            put(hasher, text);
        for (const uint64_t number :
             {static_cast<uint64_t>(entry.type), uint64_t{entry.permissions}, uint64_t{entry.uid}, uint64_t{entry.gid},
              static_cast<uint64_t>(entry.mtime), entry.size, uint64_t{entry.major}, uint64_t{entry.minor}})
            put(hasher, std::to_string(number));
        for (const auto& [name, value] : entry.attributes) {
            put(hasher, name);
            put(hasher, value);
        }
        while (const auto data = entries.read()) {
            put(hasher, std::to_string(data->offset));
            hasher.update(data->bytes);
        }
    }
    return hasher.hex();
}

}  // namespace

bool is_root_folder(const std::filesystem::path& folder) {
    std::error_code error;
    return std::any_of(kTop.begin(), kTop.end(),
                       [&](const char* name) { return std::filesystem::exists(std::filesystem::symlink_status(folder / name, error)); });
}

bool is_root_tar(const Files& files) {
    return std::any_of(kTop.begin(), kTop.end(), [&](const char* name) { return files.has(name); });
}

Image open_root_folder(const std::filesystem::path& folder) {
    Layer layer;
    layer.name = "the folder";
    layer.open_entries = [folder] { return open_folder(folder); };
    layer.diff_id = id_of(*layer.open_entries());
    return of_one_layer(std::move(layer));
}

Image open_root_tar(const std::filesystem::path& tar, uint64_t limit) {
    const auto fd = std::make_shared<const base::UniqueFd>(base::open_file(tar, O_RDONLY | O_NONBLOCK));
    Layer layer;
    layer.name = "the root file system";
    layer.limit = limit;
    layer.size = std::filesystem::file_size(tar);
    layer.open_blob = [fd, name = tar.string()] { return read_file(fd, name); };
    base::Hasher hasher(base::Hasher::Kind::sha256);
    const StreamPtr plain = open_unchecked_layer(layer);
    for (auto bytes = plain->next(); !bytes.empty(); bytes = plain->next())
        hasher.update(bytes);
    layer.diff_id = hasher.hex();
    return of_one_layer(std::move(layer));
}

}  // namespace oci
