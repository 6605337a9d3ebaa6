#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace runtime {

// One mount of the VM over its images: the root's writable layer (path "/"), or a volume.
struct Volume {
    enum class Kind {
        host,    // a folder below the workdir, which the supervisor accesses
        ram,     // a tmpfs
        storage  // an ext4 disk image in the workdir
    };

    std::string path;  // in the VM: absolute, normal
    Kind kind = Kind::host;
    std::string name = {};     // host: the folder, storage: the image; relative to the workdir
    uint64_t bytes = 0;        // ram and storage
    uint64_t preallocate = 0;  // storage: bytes whose space on the host is taken at once
    std::string errors = {};   // storage: ext4's errors= option; empty: its default
};

struct VolumePlan {
    Volume root;                  // ram or storage
    std::vector<Volume> volumes;  // outer paths before those below them; each path once
};

// The folder below the workdir that the VM's one share exports, with a folder for each host volume in it.
constexpr std::string_view kVolumesFolder = "volumes";
// The folder below the workdir that holds the disk images.
constexpr std::string_view kStorageFolder = "storage";

// What root and volumes may hold of the host's disk together where the provider sets no limit: what was agreed on, or what the plan gives
// the disks, with the same tolerance.
uint64_t default_storage_limit(const VolumePlan& plan, uint64_t storage_bytes);

bool has_host_volume(const VolumePlan& plan);

// What a VM mounts: the image's volumes, changed by --volume-override (docs/spec/exe-unit.md, deploy: JSON text, empty for none).
// `storage_bytes` is the budget for all its disks: storage volumes take their sizes from it, and the root gets the rest, at least
// kSmallestRoot, unless the override gives the root a size or memory. A sum of up to 5 % over the budget is accepted, since the supervisor
// rounds sizes to one decimal. Names are new at each call. Throws base::Error that names the path and the reason.
VolumePlan plan_volumes(const std::vector<std::string>& image_volumes, std::string_view override_json, uint64_t storage_bytes);
constexpr uint64_t kSmallestRoot = 16 << 20;

// Refuses a volume in the place of a file of the image, or below one: it could not be mounted. `image` is the topmost; what only images
// below it hold is left to the start, and so is a squashfs that only the guest can read. Throws base::Error that names the volume and the
// file.
void check_volume_paths(const VolumePlan& plan, const std::filesystem::path& image);

// Makes the folders and disk images of the plan below `workdir`. Throws base::Error, also where there are host volumes and the file system
// has no user xattrs, in which the share keeps the owners and modes that the guest sees.
void make_volumes(const VolumePlan& plan, const std::filesystem::path& workdir);

// Makes the disk image of a storage volume. Throws base::Error.
void make_storage(const Volume& volume, const std::filesystem::path& workdir);

}  // namespace runtime
