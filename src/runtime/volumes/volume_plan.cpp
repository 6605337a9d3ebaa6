#include "runtime/volumes/volume_plan.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <cerrno>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/size.h"
#include "base/untrusted_text.h"
#include "gvmi/image.h"
#include "gvmi/squashfs_tree.h"
#include "runtime/volumes/disk_image.h"

namespace runtime {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxStorage = uint64_t{16} << 40;  // what ext4 holds with blocks of 4 KiB
constexpr size_t kMaxVolumes = 256;                   // each is a mount in the guest

// A random UUID, version 4.
std::string new_uuid() {
    return boost::uuids::to_string(boost::uuids::random_generator()());
}

Volume host_volume(const std::string& path) {
    return {.path = path, .kind = Volume::Kind::host, .name = std::string(kVolumesFolder) + "/vol-" + new_uuid()};
}

Volume storage_volume(const std::string& path, uint64_t bytes) {
    return {.path = path, .kind = Volume::Kind::storage, .name = std::string(kStorageFolder) + "/" + new_uuid() + ".img", .bytes = bytes};
}

uint64_t size_of(const json& options, const char* key) {
    const json& value = options.at(key);
    if (!value.is_string() && !value.is_number()) throw base::Error(std::string(key) + " is neither a number nor a text");
    return base::parse_size(value.is_string() ? value.get<std::string>() : value.dump());
}

void check_keys(const json& options, std::initializer_list<std::string_view> known) {
    for (const auto& [key, _] : options.items()) {
        if (std::find(known.begin(), known.end(), key) == known.end()) throw base::Error("unknown key \"" + key + "\"");
    }
}

uint64_t required_size(const json& options) {
    if (!options.contains("size")) throw base::Error("size is missing");
    const uint64_t bytes = size_of(options, "size");
    if (bytes == 0) throw base::Error("its size is 0");
    return bytes;
}

Volume parse_storage(const std::string& path, const json& options) {
    check_keys(options, {"size", "preallocate", "errors"});
    Volume volume = storage_volume(path, required_size(options));
    if (volume.bytes > kMaxStorage) throw base::Error("its size is over " + base::format_size(kMaxStorage));
    if (options.contains("preallocate") && !options["preallocate"].is_null()) volume.preallocate = size_of(options, "preallocate");
    if (volume.preallocate > volume.bytes) throw base::Error("preallocate is more than its size");
    if (options.contains("errors") && !options["errors"].is_null()) {
        const json& errors = options["errors"];
        if (errors != "continue" && errors != "remount-ro" && errors != "panic")
            throw base::Error("errors is not one of continue, remount-ro and panic");
        volume.errors = errors.get<std::string>();
    }
    return volume;
}

// One entry of the override: {"host":{}}, {"ram":{…}} or {"storage":{…}}.
Volume parse_volume(const std::string& path, const json& value) {
    if (!value.is_object() || value.size() != 1) throw base::Error("not an object with one of host, ram and storage in it");
    const std::string& kind = value.begin().key();
    const json& options = value.begin().value();
    if (!options.is_object()) throw base::Error(kind + " is not an object");
    if (kind == "host") {
        check_keys(options, {});
        return host_volume(path);
    }
    if (kind == "ram") {
        check_keys(options, {"size"});
        return {.path = path, .kind = Volume::Kind::ram, .bytes = required_size(options)};
    }
    if (kind == "storage") return parse_storage(path, options);
    throw base::Error("\"" + kind + "\" is not one of host, ram and storage");
}

// "/" once for each way to write to the root.
std::string normal_path(const std::string& path) {
    const bool root = path.find_first_not_of('/') == std::string::npos;
    return root ? "/" : gvmi::normal_volume_path(path);
}

std::map<std::string, Volume> parse_override(std::string_view text) {
    const json overrides = base::parse_json(text);
    if (!overrides.is_object()) throw base::Error("not a JSON object");
    std::map<std::string, Volume> volumes;
    for (const auto& [key, value] : overrides.items()) {
        base::with_context("\"" + key + "\"", [&key = key, &value = value, &volumes] {
            const std::string path = normal_path(key);
            Volume volume = parse_volume(path, value);
            if (path == "/" && volume.kind == Volume::Kind::host) throw base::Error("the root cannot be a host volume");
            if (!volumes.emplace(path, std::move(volume)).second) throw base::Error("the same path is there twice");
        });
    }
    return volumes;
}

// Whether files of `folder` can have attributes, in which the share keeps owners, modes and types.
void check_xattrs(const std::filesystem::path& folder, const std::filesystem::path& workdir) {
    constexpr const char* kName = "user.gvmkit.test";
    if (::setxattr(folder.c_str(), kName, "1", 1, 0) == 0) {
        (void)::removexattr(folder.c_str(), kName);
        return;
    }
    if (errno == EOPNOTSUPP) {
        throw base::Error("the workdir " + workdir.string() +
                          " lies on a file system without user extended attributes, which the image's volumes need; the provider must keep "
                          "its data on ext4, xfs or btrfs");
    }
    base::throw_errno("cannot set an extended attribute of ", folder);
}

// The outermost file on the way to a volume that is no folder; empty where there is none. Symbolic links are followed as in the guest. What
// lies below another volume is not looked at: that one hides the image's files.
std::string file_on_the_way(gvmi::SquashfsReader& squashfs, const VolumePlan& plan, const std::string& volume) {
    for (size_t slash = volume.find('/', 1);; slash = volume.find('/', slash + 1)) {
        std::string path = volume.substr(0, slash);
        const auto file = gvmi::find(squashfs, path);
        if (!file) return {};
        if (!S_ISDIR(file->mode)) return path;
        const auto is_here = [&path](const Volume& other) { return other.path == path; };
        if (slash == std::string::npos || std::any_of(plan.volumes.begin(), plan.volumes.end(), is_here)) return {};
    }
}

// Which volume cannot be mounted, and why; empty where all can. One reader for all volumes: its limits hold for what it reads together.
std::string find_obstacle(const VolumePlan& plan, int image) {
    gvmi::SquashfsReader squashfs(image);
    for (const Volume& volume : plan.volumes) {
        const std::string file = file_on_the_way(squashfs, plan, volume.path);
        if (file.empty()) continue;
        const std::string name = file == volume.path ? "it" : base::quote(file);
        return "cannot mount the volume " + base::quote(volume.path) + ": " + name + " is a file of the image, not a folder";
    }
    return {};
}

uint64_t storage_volume_bytes(const VolumePlan& plan) {
    uint64_t bytes = 0;
    for (const Volume& volume : plan.volumes)
        bytes += volume.kind == Volume::Kind::storage ? volume.bytes : 0;  // 256 of 16 TiB at most
    return bytes;
}

// Of the storage volumes and the root.
uint64_t disk_bytes(const VolumePlan& plan) {
    return storage_volume_bytes(plan) + (plan.root.kind == Volume::Kind::storage ? plan.root.bytes : 0);
}

// The supervisor rounds sizes to one decimal.
uint64_t with_tolerance(uint64_t bytes) {
    return bytes + bytes / 20;
}

// Gives the root's disk what the storage volumes leave of the budget, and refuses what does not fit.
void share_out(VolumePlan& plan, uint64_t budget) {
    const uint64_t taken = storage_volume_bytes(plan);
    std::string what = "the storage volumes take " + base::format_size(taken);
    const bool root_takes_the_rest = plan.root.kind == Volume::Kind::storage && plan.root.bytes == 0;
    if (root_takes_the_rest) {
        if (taken == 0) plan.root.bytes = budget;
        if (taken == 0) return;
        plan.root.bytes = std::max(budget - std::min(taken, budget), kSmallestRoot);
        what += " and the root needs at least " + base::format_size(kSmallestRoot);
    } else if (plan.root.kind == Volume::Kind::storage) {
        what += " and the root " + base::format_size(plan.root.bytes);
    }
    if (disk_bytes(plan) <= with_tolerance(budget)) return;
    throw base::Error("the volumes do not fit: " + what + ", of the storage agreed on, " + base::format_size(budget));
}

}  // namespace

VolumePlan plan_volumes(const std::vector<std::string>& image_volumes, std::string_view override_json, uint64_t storage_bytes) {
    std::map<std::string, Volume> volumes;
    if (!override_json.empty()) volumes = base::with_context("--volume-override", [&] { return parse_override(override_json); });

    VolumePlan plan;
    if (auto root = volumes.extract("/")) {
        plan.root = std::move(root.mapped());
    } else {
        plan.root = storage_volume("/", 0);
    }
    for (const std::string& path : image_volumes) {
        if (!volumes.contains(path)) volumes.emplace(path, host_volume(path));
    }
    if (volumes.size() > kMaxVolumes) {
        throw base::Error("too many volumes: " + std::to_string(volumes.size()) + ", of which a VM takes " + std::to_string(kMaxVolumes));
    }
    for (auto& [path, volume] : volumes)
        plan.volumes.push_back(std::move(volume));
    share_out(plan, storage_bytes);
    return plan;
}

uint64_t default_storage_limit(const VolumePlan& plan, uint64_t storage_bytes) {
    return with_tolerance(std::max(storage_bytes, disk_bytes(plan)));
}

bool has_host_volume(const VolumePlan& plan) {
    return std::any_of(plan.volumes.begin(), plan.volumes.end(), [](const Volume& volume) { return volume.kind == Volume::Kind::host; });
}

void check_volume_paths(const VolumePlan& plan, const std::filesystem::path& image) {
    const base::UniqueFd file = base::open_file(image, O_RDONLY | O_NONBLOCK);
    std::string problem;
    try {
        problem = find_obstacle(plan, file.get());
    } catch (const base::Error& e) {
        spdlog::debug("cannot look for the volumes in {}: {}", image.string(), e.what());
    }
    if (!problem.empty()) throw base::Error(problem);
}

void make_volumes(const VolumePlan& plan, const std::filesystem::path& workdir) {
    if (plan.root.kind == Volume::Kind::storage) make_storage(plan.root, workdir);
    for (const Volume& volume : plan.volumes) {
        if (volume.kind == Volume::Kind::storage) make_storage(volume, workdir);
        if (volume.kind != Volume::Kind::host) continue;
        std::error_code error;
        std::filesystem::create_directories(workdir / volume.name, error);
        if (error) throw base::SystemError(error.value(), "cannot make the folder " + (workdir / volume.name).string());
        check_xattrs(workdir / volume.name, workdir);
    }
}

void make_storage(const Volume& volume, const std::filesystem::path& workdir) {
    const std::filesystem::path image = workdir / volume.name;
    std::error_code error;
    std::filesystem::create_directories(image.parent_path(), error);
    if (error) throw base::SystemError(error.value(), "cannot make the folder " + image.parent_path().string());
    make_disk_image(image, volume.bytes, volume.errors);
    if (volume.preallocate == 0) return;
    const base::UniqueFd file = base::open_file(image, O_RDWR);
    const std::string size = base::format_size(volume.preallocate);
    if (::fallocate(file.get(), 0, 0, static_cast<off_t>(volume.preallocate)) < 0)
        base::throw_errno("cannot allocate ", size, " for the volume ", volume.path);
}

}  // namespace runtime
