#include "runtime/deployment.h"

#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/remove_tree.h"
#include "runtime/thin_images.h"
#include "vm/machine.h"

namespace runtime {
namespace {

using nlohmann::json;

constexpr const char* kFile = "deployment.json";
constexpr size_t kMaxFile = 4 << 20;  // bytes; enough for 256 volumes with paths as long as Linux allows

constexpr std::pair<Volume::Kind, const char*> kKinds[] = {
    {Volume::Kind::host, "host"}, {Volume::Kind::ram, "ram"}, {Volume::Kind::storage, "storage"}};

json to_json(const Volume& volume) {
    json result = {{"path", volume.path},
                   {"name", volume.name},
                   {"bytes", volume.bytes},
                   {"errors", volume.errors},
                   {"preallocate", volume.preallocate}};
    for (const auto& [kind, name] : kKinds) {
        if (kind == volume.kind) result["kind"] = name;
    }
    return result;
}

Volume volume_from_json(const json& value) {
    Volume volume{.path = value.at("path"),
                  .name = value.at("name"),
                  .bytes = value.at("bytes"),
                  .preallocate = value.at("preallocate"),
                  .errors = value.at("errors")};
    for (const auto& [kind, name] : kKinds) {
        if (value.at("kind") == name) volume.kind = kind;
    }
    return volume;
}

void save(const Deployment& deployment, const std::filesystem::path& workdir) {
    json volumes = json::array();
    for (const Volume& volume : deployment.volumes.volumes)
        volumes.push_back(to_json(volume));
    json images = json::array();
    for (const std::filesystem::path& image : deployment.images)
        images.push_back(image.string());
    const json all = {
        {"images", images}, {"hostname", deployment.hostname}, {"root", to_json(deployment.volumes.root)}, {"volumes", volumes}};
    base::replace_file(workdir / kFile, base::to_text(all));
}

// Removes everything that deploy makes in a workdir; the record first, so that nothing half removed can be started.
void take_away(const std::filesystem::path& workdir) {
    const std::filesystem::path old = workdir / kFile;
    if (::unlink(old.c_str()) < 0 && errno != ENOENT) base::throw_errno("cannot remove ", old);
    base::remove_tree(workdir / kVolumesFolder);
    base::remove_tree(workdir / kStorageFolder);
}

// RFC 1123, as far as sethostname and /etc/hosts require it.
void check_hostname(const std::string& hostname) {
    constexpr size_t kMaxLength = 64;  // of Linux
    const bool valid = !hostname.empty() && hostname.size() <= kMaxLength &&
                       hostname.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == std::string::npos;
    if (!valid) throw base::Error("'" + hostname + "' is not a host name (letters, digits and -_., at most 64)");
}

void check_disks(const Deployment& deployment) {
    size_t disks = deployment.images.size() + (deployment.volumes.root.kind == Volume::Kind::storage ? 1 : 0);
    for (const Volume& volume : deployment.volumes.volumes)
        disks += volume.kind == Volume::Kind::storage ? 1 : 0;
    if (disks <= vm::kMaxDisks) return;
    throw base::Error("too many images and storage volumes: they make " + std::to_string(disks) + " disks, of which a VM takes " +
                      std::to_string(vm::kMaxDisks));
}

}  // namespace

Deployment deploy(const Options& options) {
    if (options.images.empty()) throw base::Error("no image is given (--task-package)");
    check_hostname(options.hostname);
    Deployment deployment{.images = {}, .hostname = options.hostname, .volumes = {}};
    for (const std::filesystem::path& image : options.images) {
        check_image(options, image);
        deployment.images.push_back(std::filesystem::absolute(image));
    }
    deployment.volumes = plan_volumes(read_config(deployment).volumes, options.volume_override, options.storage_bytes);

    check_disks(deployment);
    check_volume_paths(deployment.volumes, deployment.images.at(0));

    std::error_code error;
    std::filesystem::create_directories(options.workdir, error);
    if (error) throw base::SystemError(error.value(), "cannot make the workdir " + options.workdir.string());
    take_away(options.workdir);
    try {
        make_volumes(deployment.volumes, options.workdir);
        save(deployment, options.workdir);
    } catch (const base::Error&) {
        take_away(options.workdir);
        throw;
    }
    return deployment;
}

std::string deploy_answer(const Deployment& deployment) {
    json volumes = json::array();
    for (const Volume& volume : deployment.volumes.volumes) {
        if (volume.kind == Volume::Kind::host) volumes.push_back({{"name", volume.name}, {"path", volume.path}});
    }
    return base::to_text({{"valid", {{"Ok", ""}}}, {"vols", volumes}, {"startMode", "blocking"}});
}

Deployment load_deployment(const std::filesystem::path& workdir) {
    try {
        const json all = base::parse_json(base::read_file(workdir / kFile, kMaxFile));
        Deployment deployment{.images = {}, .hostname = all.at("hostname"), .volumes = {}};
        for (const json& image : all.at("images"))
            deployment.images.emplace_back(image.get<std::string>());
        deployment.volumes.root = volume_from_json(all.at("root"));
        for (const json& volume : all.at("volumes"))
            deployment.volumes.volumes.push_back(volume_from_json(volume));
        return deployment;
    } catch (base::SystemError& e) {
        e.add_context("nothing has been deployed in " + workdir.string());
        throw;
    } catch (const json::exception& e) {
        throw base::Error("cannot understand " + (workdir / kFile).string() + ": " + e.what());
    }
}

gvmi::Config read_config(const Deployment& deployment) {
    gvmi::Config config = gvmi::read_image(deployment.images.at(0)).config;
    config.json = nullptr;  // a stranger's, and of no more use: it would stay in memory as long as the VM runs
    return config;
}

}  // namespace runtime
