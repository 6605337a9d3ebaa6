#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace dbg {

// A host volume of the deployment, as deploy names it (docs/spec/exe-unit.md, deploy).
struct VolumeFolder {
    std::string guest;           // where the VM sees it
    std::filesystem::path host;  // its folder here
};

// Reads "vols" of what deploy printed; `workdir` is the deployment's. A volume without a usable name or path is left out, one that leads
// out of the workdir among them. Nothing where it is no such JSON.
std::vector<VolumeFolder> volume_folders(std::string_view deployed, const std::filesystem::path& workdir);

// A place in a volume: the names below its folder, empty for the folder itself.
struct VolumePlace {
    VolumeFolder volume;
    std::vector<std::string> names;
};

// Finds the volume of a guest path as the supervisor does: the longest whose path ends at a slash of it. Throws base::Error where the path
// is in no volume, which names the volumes, or has "..".
VolumePlace find_volume(const std::vector<VolumeFolder>& volumes, const std::string& guest_path);

}  // namespace dbg
