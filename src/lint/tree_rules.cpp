#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "base/size.h"
#include "base/untrusted_text.h"
#include "gvmi/squashfs_tree.h"
#include "lint/look.h"

namespace lint {
namespace {

constexpr size_t kMostPaths = 5;  // that a finding lists

struct Sized {
    uint64_t size;
    std::string path;
};

// Sizes added up, and the largest files.
struct Heap {
    uint64_t files = 0;
    uint64_t bytes = 0;
    std::vector<Sized> largest{};

    void add(const std::string& path, uint64_t size) {
        files++;
        bytes += size;
        largest.push_back({size, path});
        std::stable_sort(largest.begin(), largest.end(), [](const Sized& a, const Sized& b) { return a.size > b.size; });
        if (largest.size() > kMostPaths) largest.pop_back();
    }
    std::vector<std::string> paths() const {
        std::vector<std::string> result;
        result.reserve(largest.size());
        for (const Sized& file : largest)
            result.push_back(base::escape(file.path) + " (" + base::format_size(file.size) + ")");
        return result;
    }
};

struct Cache {
    std::string_view part;  // of a path
    const char* remedy;
};
constexpr std::array kCaches = {
    Cache{"/var/lib/apt/lists/", "rm -rf /var/lib/apt/lists/* in the RUN that runs apt-get update"},
    Cache{"/var/cache/apt/", "apt-get clean in the RUN that installs"},
    Cache{"/.cache/pip/", "pip install --no-cache-dir"},
    Cache{"/.npm/_cacache/", "npm cache clean --force in the RUN that installs"},
    Cache{"/.cache/yarn/", "yarn cache clean in the RUN that installs"},
    Cache{"/var/cache/apk/", "apk add --no-cache"},
    Cache{"/var/cache/dnf/", "dnf clean all in the RUN that installs"},
    Cache{"/var/cache/yum/", "yum clean all in the RUN that installs"},
};

// By name alone: what people leave in images by mistake but distributions do not ship.
bool looks_secret(std::string_view path, std::string_view name, mode_t mode) {
    if (S_ISDIR(mode)) return name == ".git";
    constexpr std::array<std::string_view, 11> kNames = {"id_rsa",  "id_dsa",  "id_ecdsa",    "id_ed25519", ".env",       ".netrc",
                                                         ".pgpass", "key.pem", "privkey.pem", "server.key", "private.key"};
    constexpr std::array<std::string_view, 3> kEnds = {"/.aws/credentials", "/.docker/config.json", "/.git-credentials"};
    return std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
           std::any_of(kEnds.begin(), kEnds.end(), [path](std::string_view end) { return path.ends_with(end); });
}

}  // namespace

void look_at_tree(const Look& look, const gvmi::Limits& limits) {
    const std::vector<std::string>& volumes = look.config.volumes;  // sorted; a configuration may have a hundred thousand
    std::vector<Heap> hidden(volumes.size());
    std::vector<size_t> inside;  // the volumes that the walk is in, the innermost last
    const auto volume_at = [&volumes](const std::string& path) {
        const auto found = std::lower_bound(volumes.begin(), volumes.end(), path);
        return found != volumes.end() && *found == path ? std::optional(static_cast<size_t>(found - volumes.begin())) : std::nullopt;
    };
    std::array<Heap, kCaches.size()> caches;
    std::vector<std::string> secrets;
    uint64_t secret_count = 0;
    const auto visit = [&](const std::string& path, const gvmi::File& file) {
        const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
        if (looks_secret(path, name, file.mode)) {
            secret_count++;
            if (secrets.size() < kMostPaths) secrets.push_back(base::escape(path));
        }
        if (S_ISDIR(file.mode)) {
            if (const auto volume = volume_at(path)) inside.push_back(*volume);
            return;
        }
        if (!inside.empty()) hidden[inside.back()].add(path, file.size);
        for (size_t i = 0; i < caches.size(); i++) {
            if (S_ISREG(file.mode) && path.find(kCaches[i].part) != std::string::npos) caches[i].add(path, file.size);
        }
    };
    const auto leave = [&](const std::string& path, const gvmi::File&) {
        if (volume_at(path)) inside.pop_back();
    };
    gvmi::walk(look.reader, limits, {visit, leave});

    for (size_t i = 0; i < hidden.size(); i++) {
        if (hidden[i].files == 0) continue;
        look.warn("hidden-by-volume",
                  std::to_string(hidden[i].files) + " files (" + base::format_size(hidden[i].bytes) + ") below the volume " +
                      base::quote(look.config.volumes[i]) + " cannot be seen in a VM, where it is empty at first",
                  "keep them elsewhere in the image, or name another volume", hidden[i].paths());
    }
    for (size_t i = 0; i < caches.size(); i++) {
        constexpr uint64_t kWorthIt = uint64_t{1} << 20;
        if (caches[i].bytes < kWorthIt) continue;
        look.warn("cache",
                  "a cache of " + base::format_size(caches[i].bytes) + " (before compression) at *" + std::string(kCaches[i].part) +
                      " is useless in a VM",
                  kCaches[i].remedy, caches[i].paths());
    }
    if (secret_count > 0) {
        look.warn("secret",
                  std::to_string(secret_count) + " files look like secrets by their names, and providers can read all of an image",
                  "leave them out with .dockerignore", secrets);
    }
}

}  // namespace lint
