#include "oci/registry.h"

#include <fcntl.h>
#include <sys/file.h>

#include <filesystem>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/folders.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/subprocess.h"
#include "oci/files.h"
#include "oci/oci_layout.h"
#include "oci/parse.h"
#include "oci/tool.h"

namespace oci {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

fs::path cache_folder() {
    const fs::path cache = base::user_cache_folder();
    if (cache.empty()) throw base::Error("no place for the layers: neither XDG_CACHE_HOME nor HOME is set");
    return cache / "gvmkit/layers";
}

// skopeo's reasons in plainer words, followed by its own.
[[noreturn]] void fail(const ToolOutput& result) {
    const std::string reason = last_words(result.errors);
    const auto says = [&result](const char* text) { return result.errors.find(text) != std::string::npos; };
    if (says("unauthorized") || says("authentication required") || says("denied")) {
        throw base::Error("the registry refuses the login (log in with `skopeo login`): " + reason);
    }
    if (says("manifest unknown") || says("name unknown") || says("NAME_UNKNOWN"))
        throw base::Error("the registry has no such image: " + reason);
    if (says("Digest did not match") || says("does not match") || says("invalid checksum")) {
        throw base::Error("the registry sent something damaged: " + reason);
    }
    throw base::Error("skopeo: " + reason);
}

std::string skopeo(const std::vector<std::string>& arguments, const std::function<void()>& wait) {
    std::vector<std::string> argv = {"skopeo"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    ToolOutput result = run_tool(argv, wait);
    if (result.code != 0) fail(result);
    return std::move(result.output);
}

std::string keep_blob(const fs::path& blobs, const std::string& content) {
    const std::string hex = base::sha256_hex(std::as_bytes(std::span(content)));
    base::replace_file(blobs / hex, content);
    return "sha256:" + hex;
}

// The layout that the cache is for one image: an index in memory, and blobs that are files.
class Cached : public Files {
public:
    Cached(std::shared_ptr<const Files> blobs, std::string index) : blobs_(std::move(blobs)), index_(std::move(index)) {}

    std::optional<File> find(const std::string& path) const override {
        if (path != "index.json") return blobs_->find(path);
        return File{index_.size(), [text = index_] { return text_stream(text); }};
    }
    bool has(const std::string& path) const override { return find(path).has_value(); }

private:
    std::shared_ptr<const Files> blobs_;
    std::string index_;
};

// The digest of an index's manifest for our platform; nothing where it is a manifest already.
std::string choose(const json& manifest, const std::string& platform) {
    const auto list = manifest.is_object() ? manifest.find("manifests") : manifest.end();
    if (!manifest.is_object() || list == manifest.end()) return {};
    return choose_manifest(manifest, platform);
}

std::string without_tag(const std::string& name) {
    const size_t at = name.find('@');
    const std::string base = name.substr(0, at);
    const size_t colon = base.rfind(':');
    const size_t slash = base.rfind('/');
    return colon != std::string::npos && (slash == std::string::npos || colon > slash) ? base.substr(0, colon) : base;
}

uint64_t size_of(const fs::path& path) {
    std::error_code error;
    const uint64_t size = fs::file_size(path, error);
    return error ? 0 : size;
}

struct Pull {
    fs::path blobs;
    fs::path work;  // for skopeo's unfinished files
    std::vector<std::string> layers{};
    uint64_t total = 0;

    uint64_t done() const {
        uint64_t bytes = 0;
        for (const std::string& hex : layers)
            bytes += size_of(blobs / hex);
        std::error_code error;
        for (fs::recursive_directory_iterator i(work, error), end; !error && i != end; i.increment(error))
            bytes += i->is_regular_file(error) ? size_of(i->path()) : 0;
        return bytes;
    }
};

// skopeo would never fetch a cached layer again that was damaged since an earlier pull.
void drop_damaged(const Pull& pull) {
    for (const std::string& hex : pull.layers) {
        const fs::path path = pull.blobs / hex;
        if (!fs::exists(path)) continue;
        base::Hasher hasher(base::Hasher::Kind::sha256);
        const auto fd = std::make_shared<const base::UniqueFd>(base::open_file(path, O_RDONLY));
        const StreamPtr stream = read_file(fd, path.string());
        for (auto bytes = stream->next(); !bytes.empty(); bytes = stream->next())
            hasher.update(bytes);
        if (hasher.hex() != hex) fs::remove(path);
    }
}

void fetch_layers(const std::string& source, Pull& pull, const OpenOptions& options, const fs::path& cache) {
    std::string name = (cache / "pull.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) base::throw_errno("cannot make a folder in ", cache);
    struct Remove {
        fs::path path;
        ~Remove() {
            std::error_code error;
            fs::remove_all(path, error);
        }
    } const remove{name};
    pull.work = name;
    const auto wait = [&] {
        if (options.progress) options.progress(std::min(pull.done(), pull.total), pull.total);
    };
    skopeo({"copy", "--quiet", "--dest-shared-blob-dir", (cache / "blobs").string(), source, "oci:" + name + "/layout:image"}, wait);
}

std::shared_ptr<const base::UniqueFd> lock(const fs::path& cache) {
    auto fd = std::make_shared<const base::UniqueFd>(base::open_file(cache / "lock", O_RDWR | O_CREAT));
    if (::flock(fd->get(), LOCK_EX) < 0) base::throw_errno("cannot lock ", cache);
    return fd;
}

}  // namespace

Image open_registry_image(const std::string& name, const OpenOptions& options) {
    if (base::find_program("skopeo").empty()) throw base::Error("there is no skopeo, which fetches images from registries");
    const fs::path cache = cache_folder();
    Pull pull{cache / "blobs/sha256", {}};
    fs::create_directories(pull.blobs);
    const auto locked = lock(cache);
    const auto wait = [&options] {
        if (options.progress) options.progress(0, 0);
    };
    // The unchanged manifest and configuration: a copy to a layout would rewrite Docker's kind.
    std::string source = "docker://" + name;
    std::string text = skopeo({"inspect", "--raw", source}, wait);
    const size_t at = name.find('@');
    if (at != std::string::npos && "sha256:" + base::sha256_hex(std::as_bytes(std::span(text))) != name.substr(at + 1)) {
        throw base::Error("the registry sent another manifest than " + name.substr(at + 1));
    }
    const std::string chosen = base::with_context("its index", [&] { return choose(base::parse_json(text), options.platform); });
    if (!chosen.empty()) {
        source = "docker://" + without_tag(name) + "@" + chosen;
        text = skopeo({"inspect", "--raw", source}, wait);
        if ("sha256:" + base::sha256_hex(std::as_bytes(std::span(text))) != chosen)
            throw base::Error("the registry sent another manifest than " + chosen);
    }
    const json manifest = base::with_context("its manifest", [&] { return base::parse_json(text); });
    const std::string digest = keep_blob(pull.blobs, text);
    const auto layers = manifest.is_object() ? manifest.find("layers") : manifest.end();
    if (!manifest.is_object() || layers == manifest.end() || !layers->is_array())
        throw base::Error("its manifest is of a kind that is not known");
    for (const json& layer : *layers) {
        pull.layers.push_back(parse_digest(get_text(layer, "digest")));
        const auto size = layer.find("size");
        if (size != layer.end() && size->is_number_unsigned()) pull.total += size->get<uint64_t>();
    }
    keep_blob(pull.blobs, skopeo({"inspect", "--raw", "--config", source}, wait));
    drop_damaged(pull);
    fetch_layers(source, pull, options, cache);

    const json index = {{"manifests", {{{"digest", digest}, {"mediaType", get_text(manifest, "mediaType")}}}}};
    Image image = open_oci_layout(std::make_shared<Cached>(open_files(cache), base::to_text(index)), "", options.platform);
    set_name(image, name.substr(0, name.find('@')));
    return image;
}

}  // namespace oci
