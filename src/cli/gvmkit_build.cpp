#include <fmt/format.h>

#include <string>

#include "base/log.h"
#include "cli/build_image.h"
#include "cli/common.h"
#include "cli/lint_text.h"
#include "cli/login.h"
#include "cli/push.h"
#include "cli/thin_image.h"

namespace {

int standard(gvmi::Method method) {
    return gvmi::levels_of(method).standard;
}

}  // namespace

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): outside of run only a wrong option throws
    cli::BuildArguments arguments;
    std::string entrypoint;
    std::string user;
    base::log_to_stderr("gvmkit-build");
    CLI::App app("Turns a container image into a .gvmi file that a Golem provider runs.");
    cli::describe(app, "gvmkit-build -o python.gvmi python.tar");
    app.add_option(
        "IMAGE", arguments.image,
        "A file made by `docker save`, an OCI archive or layout, a root file system (a folder, or a tar from `docker export`), or a "
        "name such as python:3.12, looked up in a local engine, then in a registry. Prefixes: docker-archive:, oci-archive:, "
        "oci: or rootfs: (:NAME at the end chooses one of several images), docker-daemon: or docker://");
    app.add_option("--dockerfile", arguments.dockerfile, "Builds this folder's Dockerfile first; IMAGE, if given, is its name")
        ->check(CLI::ExistingDirectory);
    app.add_option("--builder", arguments.builder, "The builder; by default the first of these that is installed")
        ->check(CLI::IsMember({"docker", "podman", "buildah"}));
    app.add_option("--platform", arguments.platform, "The platform to take from a multi-platform image; VMs run linux/amd64")
        ->capture_default_str();
    app.add_option("-o,--output", arguments.output, "The file to write; by default NAME-TAG-ID.gvmi in the current folder")
        ->type_name("FILE");
    app.add_flag("-f,--force", arguments.force,
                 "Write the file even if it is up to date; a new compression level alone does not make it outdated");
    app.add_option("--compression-method", arguments.method,
                   "gzip, lzo, lz4 or xz, which every provider reads, or zstd, which only this project's runtime reads")
        ->check(CLI::IsMember(gvmi::method_names()))
        ->capture_default_str();
    app.add_option(
        "--compression-level", arguments.level,
        fmt::format(
            "1 (fast) to 9 (small) for gzip (default {}) and lzo (default {}), up to 22 for zstd (default {}); lz4 and xz have none",
            standard(gvmi::Method::gzip), standard(gvmi::Method::lzo), standard(gvmi::Method::zstd)));
    // Takes one value each time it is given: the next word is the image.
    app.add_option("--env", arguments.changes.env, "Sets NAME=VALUE in the image's environment; repeatable")
        ->take_all()
        ->allow_extra_args(false);
    app.add_option("--vol", arguments.changes.volumes, "Adds a volume's path; repeatable")->take_all()->allow_extra_args(false);
    auto* entrypoint_option =
        app.add_option("--entrypoint", entrypoint, "The program to start instead of the image's entrypoint and command");
    auto* user_option = app.add_option("--user", user, "The user that commands run as: a name or number, optionally with :GROUP");
    app.add_option("--limit-gib", arguments.limit_gib, "Refuse an image with more data than this, unpacked; holes count")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    app.add_flag("--times", arguments.times, "Print where the time went: by kind of work, summed over all threads, and by step");
    app.add_flag("--no-lint", arguments.no_lint, "Do not check for what will surprise in a VM");
    cli::add_lint_off_option(app, "--lint-off", arguments.lint_off);
    app.add_flag("--hide-progress", arguments.hide_progress, "No progress on the terminal");
    bool thin = false;
    cli::ThinArguments thin_arguments;
    app.add_flag("--thin", thin, "Make the thin image too, NAME.thin.gvmi, and push both");
    cli::add_thin_options(app, thin_arguments, "--thin-url");
    cli::PushArguments push;
    cli::add_push_options(app, push);
    app.callback([&] {
        const bool served = cli::pushes(push) || !thin_arguments.urls.empty();
        if (thin && !served) throw CLI::ValidationError("--thin needs --thin-url, or a push, to know where the full image is served");
        if (thin && push.make_private)
            throw CLI::ValidationError("--thin and --private are incompatible: a thin image names a link to its full one, and that ends");
        if (!thin && (!thin_arguments.urls.empty() || !thin_arguments.record.empty()))
            throw CLI::ValidationError("--thin-url and --record need --thin");
        cli::check_push_usage(push, arguments.image.empty() ? arguments.dockerfile : arguments.image);
    });
    return cli::run(app, argc, argv, [&] {
        if (push.login.any()) return cli::run_login(push.login);
        if (entrypoint_option->count() > 0) arguments.changes.entrypoint = std::vector{entrypoint};
        if (user_option->count() > 0) arguments.changes.user = user;
        arguments.chunk_size = push.chunk_size;
        const cli::PushPlan plan = cli::plan_push(push, arguments.image);
        cli::BuiltImage built = push.direct_file.empty() ? cli::build_image(arguments) : cli::BuiltImage{push.direct_file, {}};
        if (thin) {
            if (cli::pushes(push)) {
                const bool progress = !arguments.hide_progress;
                thin_arguments.urls.push_back(cli::push_full_image(push, plan, built.path, built.descriptor, progress));
            }
            built = {cli::make_thin_image(built.path, thin_arguments, !arguments.hide_progress), {}};
        }
        cli::finish_push(push, plan, built.path, built.descriptor, !arguments.hide_progress);
        return 0;
    });
}
