#include "oci/dockerfile.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/subprocess.h"
#include "base/temporary_folder.h"
#include "oci/docker_archive.h"
#include "oci/files.h"
#include "oci/parse.h"
#include "oci/tool.h"

namespace oci {
namespace {

namespace fs = std::filesystem;

std::string choose_builder() {
    if (!base::find_program("docker").empty() && run_tool({"docker", "version"}).code == 0) return "docker";
    for (const char* name : {"podman", "buildah"}) {
        if (!base::find_program(name).empty()) return name;
    }
    throw base::Error("there is neither a Docker engine that answers, nor podman, nor buildah");
}

// The builder's output is for the user.
void run_shown(const std::vector<std::string>& argv, const OpenOptions& options) {
    constexpr int kIntervalMs = 200;
    base::Command command{.argv = argv, .environment = base::own_environment(), .fds = {{STDERR_FILENO, 1}, {STDERR_FILENO, 2}}};
    base::Child child = base::spawn(command);
    for (pollfd ended{child.pidfd(), POLLIN, 0}; ended.revents == 0;) {
        if (::poll(&ended, 1, kIntervalMs) < 0 && errno != EINTR) base::throw_errno("cannot wait for ", argv[0]);
        if (options.progress && ended.revents == 0) options.progress(0, 0);
    }
    const int code = base::exit_code(child.wait());
    if (code != 0)
        throw base::Error("`" + argv[0] + " " + argv[1] + "` failed with exit code " + std::to_string(code) + "; what it said is above");
}

}  // namespace

Image build_dockerfile(const fs::path& folder, const std::string& name, const std::string& wanted, const OpenOptions& options) {
    const std::string builder = wanted.empty() ? choose_builder() : wanted;
    const base::TemporaryFolder work;
    const std::string id_file = work.path() / "id";
    const std::string archive = work.path() / "image.tar";
    std::vector<std::string> build = {builder, "build", "--platform", options.platform, "--iidfile", id_file};
    if (builder == "buildah") build.emplace_back("--layers");  // the others' default: a second build takes what the first one made
    if (!name.empty()) build.insert(build.end(), {"--tag", name});
    build.push_back(folder.string());
    run_shown(build, options);

    constexpr size_t kMaxId = 256;
    std::string id = base::read_file(id_file, kMaxId);
    id.erase(id.find_last_not_of(" \n\r\t") + 1);
    if (builder == "docker") {
        run_shown({"docker", "save", "--output", archive, id}, options);
    } else if (builder == "podman") {
        run_shown({"podman", "save", "--quiet", "--format", "docker-archive", "--output", archive, id}, options);
    } else {
        run_shown({"buildah", "push", "--quiet", id, "docker-archive:" + archive}, options);
    }
    // The archive stays open after its name is gone.
    Image image = open_docker_archive(open_files(archive), "", options.platform);
    const fs::path last = fs::absolute(folder).lexically_normal();
    set_name(image, name.empty() ? (last.has_filename() ? last : last.parent_path()).filename().string() : name);
    return image;
}

}  // namespace oci
