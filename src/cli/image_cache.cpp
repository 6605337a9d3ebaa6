#include "cli/image_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/folders.h"
#include "base/hash.h"
#include "base/untrusted_text.h"
#include "cli/interruptible.h"
#include "cli/transfer_progress.h"
#include "convert/config.h"
#include "convert/convert.h"
#include "gvmi/image.h"
#include "oci/dockerfile.h"
#include "oci/image.h"
#include "release/release.h"

namespace cli {
namespace fs = std::filesystem;
namespace {

constexpr size_t kLongestShown = 256;  // of an image's name
constexpr uintmax_t kCacheLimit = uintmax_t{10} << 30;

// A person waits for the conversion, and nobody downloads the result.
constexpr gvmi::Method kCacheMethod = gvmi::Method::lz4;

// By content, or by name where the content is damaged: then the runtime says what is wrong with it.
bool is_gvmi(const std::string& image) {
    constexpr std::string_view kSquashfs = "hsqs";
    if (image.ends_with(".gvmi")) return true;
    std::error_code error;
    if (!fs::is_regular_file(image, error)) return false;
    const base::UniqueFd fd = base::open_file(image, O_RDONLY);
    std::array<char, kSquashfs.size()> magic{};
    return base::pread_full(fd.get(), std::as_writable_bytes(std::span(magic)), 0, image) == magic.size() &&
           std::string_view(magic.data(), magic.size()) == kSquashfs;
}

oci::Image open_source(const std::string& image) {
    oci::OpenOptions options;
    TransferProgress progress("pulling", true);
    options.progress = [&progress](uint64_t done, uint64_t total) {
        Interruptible::check();
        if (total > 0) progress.show(done, total);
    };
    const fs::path folder = image;
    std::error_code error;
    const bool layout = fs::exists(folder / "index.json", error) || fs::exists(folder / "manifest.json", error);
    if (!layout && fs::is_regular_file(folder / "Dockerfile", error)) return oci::build_dockerfile(folder, "", "", options);
    return oci::open_image(image, options);
}

// A name for what determines the result: the program, the configuration and the layers.
std::string key_of(const oci::Image& image, const nlohmann::json& config) {
    nlohmann::json parts = {release::version(), static_cast<int>(kCacheMethod), config};
    for (const oci::Layer& layer : image.layers)
        parts.push_back(layer.diff_id);
    const std::string text = parts.dump();
    return base::sha256_hex(std::as_bytes(std::span(text)));
}

// Held by the process that converts one image: a byte of a file that all share, so that no lock file is ever left over. A killed process
// gives it back.
base::UniqueFd lock_key(const fs::path& folder, const std::string& key) {
    constexpr size_t kDigits = 15;  // a positive off_t
    constexpr int kHex = 16;
    base::UniqueFd fd = base::open_file(folder / "lock", O_RDWR | O_CREAT, S_IRUSR | S_IWUSR);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_start = std::stoll(key.substr(0, kDigits), nullptr, kHex);
    lock.l_len = 1;
    while (::fcntl(fd.get(), F_OFD_SETLKW, &lock) != 0) {
        if (errno != EINTR) base::throw_errno("cannot lock ", folder);
        Interruptible::check();
    }
    return fd;
}

// A complete file of the cache, locked against its removal. None where it is missing or damaged.
base::UniqueFd open_cached(const fs::path& path) {
    base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {};
    if (!fd || ::flock(fd.get(), LOCK_SH) != 0 || ::fstat(fd.get(), &status) != 0) return {};
    if (status.st_nlink == 0) return {};  // removed before it was locked
    try {
        (void)gvmi::read_image(fd.get(), path);
    } catch (const base::Error&) {
        return {};
    }
    (void)::futimens(fd.get(), nullptr);  // used last
    return fd;
}

void remove_unused(const fs::path& path) {
    const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) (void)::unlink(path.c_str());
}

// Removes what was used longest ago, beyond the limit.
void prune_images(const fs::path& folder) {
    struct File {
        fs::path path;
        uintmax_t bytes;
        fs::file_time_type used;
    };
    std::vector<File> files;
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
        if (entry.path().extension() == ".gvmi") files.push_back({entry.path(), entry.file_size(error), entry.last_write_time(error)});
    }
    std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.used > b.used; });
    uintmax_t bytes = 0;
    for (const File& file : files) {
        bytes += file.bytes;
        if (bytes > kCacheLimit) remove_unused(file.path);
    }
}

void convert_image(const oci::Image& image, const nlohmann::json& config, const fs::path& path, const std::string& name) {
    const auto start = std::chrono::steady_clock::now();
    const std::string what = "converting " + base::printable(name, kLongestShown) + "…";
    base::AtomicFile file(path, S_IRUSR | S_IWUSR);
    {
        TransferProgress progress(what, true);
        convert::Options options;
        options.compression = {kCacheMethod, gvmi::levels_of(kCacheMethod).standard};
        options.workers = std::max(1U, std::thread::hardware_concurrency());
        options.progress = [&progress](uint64_t done, uint64_t total) {
            Interruptible::check();
            if (total > 0) progress.show(done, total);
        };
        (void)convert::convert(image, config, file.fd().get(), name, options);
    }
    file.commit();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    (void)std::fprintf(stderr, "%s (%.1f s)\n", what.c_str(), seconds);
}

fs::path images_folder() {
    const fs::path cache = base::user_cache_folder();
    if (cache.empty()) throw base::Error("no folder for the cache: neither XDG_CACHE_HOME nor HOME is set");
    fs::path folder = cache / "gvmkit" / "images";
    fs::create_directories(folder);
    return folder;
}

}  // namespace

CachedImage cached_image(const std::string& image) {
    if (image.empty() || is_gvmi(image)) return {image, {}};
    return base::with_context("cannot convert " + image, [&]() -> CachedImage {
        const Interruptible interruptible;
        const fs::path folder = images_folder();
        const oci::Image source = open_source(image);
        std::vector<std::string> notes;
        const nlohmann::json config = convert::container_config(source, {}, notes);
        const std::string key = key_of(source, config);
        const fs::path path = folder / (key + ".gvmi");
        const base::UniqueFd lock = lock_key(folder, key);
        base::UniqueFd in_use = open_cached(path);
        if (!in_use) {
            convert_image(source, config, path, image);
            in_use = open_cached(path);
            if (!in_use) throw base::Error(path.string() + " was damaged right after it was written");
            prune_images(folder);
        }
        return {path, std::move(in_use)};
    });
}

}  // namespace cli
