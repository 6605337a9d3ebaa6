#include <string>

#include "base/log.h"
#include "cli/build_image.h"
#include "cli/common.h"
#include "cli/lint_text.h"
#include "cli/login.h"
#include "cli/push.h"

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): outside of run only a wrong option throws
    cli::BuildArguments arguments;
    std::string entrypoint;
    std::string user;
    base::log_to_stderr("gvmkit-build");
    CLI::App app("Turns a container image into a .gvmi file that a Golem provider runs.");
    cli::describe(app, "gvmkit-build -o python.gvmi python.tar");
    app.add_option(
        "IMAGE", arguments.image,
        "A file made by `docker save`, an OCI archive or layout, a root file system (a folder, or a tar of `docker export`), or a "
        "name as in python:3.12, which a local engine or else the registry has. In front may stand docker-archive:, oci-archive:, "
        "oci: or rootfs: (then :NAME behind it says which image in it), docker-daemon: or docker://");
    app.add_option("--dockerfile", arguments.dockerfile, "Builds this folder's Dockerfile first; IMAGE, if given, is its name")
        ->check(CLI::ExistingDirectory);
    app.add_option("--builder", arguments.builder, "What builds it; else the first of these that is there")
        ->check(CLI::IsMember({"docker", "podman", "buildah"}));
    app.add_option("--platform", arguments.platform, "Of an image for several platforms, which one; a VM runs linux/amd64")
        ->capture_default_str();
    app.add_option("-o,--output", arguments.output, "The file to write; else NAME-TAG-ID.gvmi here");
    app.add_flag("-f,--force", arguments.force, "Write it also when it is up to date (a compression level does not count)");
    app.add_option("--compression-method", arguments.method,
                   "gzip, lzo, lz4 or xz, which every provider reads, or zstd, which only this project's runtime does")
        ->check(CLI::IsMember({"gzip", "lzo", "lz4", "xz", "zstd"}))
        ->capture_default_str();
    app.add_option("--compression-level", arguments.level,
                   "1 (fast) to 9 (small) for gzip (else 3) and lzo (else 8), to 22 for zstd (else 3); lz4 and xz have none");
    // Takes one value each time it is given: the next word is the image.
    app.add_option("--env", arguments.changes.env, "Sets NAME=VALUE in the image's environment; repeatable")
        ->take_all()
        ->allow_extra_args(false);
    app.add_option("--vol", arguments.changes.volumes, "Adds a volume's path; repeatable")->take_all()->allow_extra_args(false);
    auto* entrypoint_option =
        app.add_option("--entrypoint", entrypoint, "The program to start instead of the image's entrypoint and command");
    auto* user_option = app.add_option("--user", user, "Whom commands run as: a name or number, with :GROUP or without");
    app.add_flag("--times", arguments.times, "Tells where the time went: by kinds of work, the threads added up, and by steps");
    app.add_flag("--no-lint", arguments.no_lint, "Does not look for what will surprise in a VM");
    cli::add_lint_off_option(app, "--lint-off", arguments.lint_off);
    app.add_flag("--hide-progress", arguments.hide_progress, "No progress on the terminal");
    cli::PushArguments push;
    cli::add_push_options(app, push);
    app.callback([&] { cli::check_push_usage(push, arguments.image.empty() ? arguments.dockerfile : arguments.image); });
    return cli::run(app, argc, argv, [&] {
        if (push.login.any()) return cli::run_login(push.login);
        if (entrypoint_option->count() > 0) arguments.changes.entrypoint = entrypoint;
        if (user_option->count() > 0) arguments.changes.user = user;
        arguments.chunk_size = push.chunk_size;
        const cli::PushPlan plan = cli::plan_push(push, arguments.image);
        const cli::BuiltImage built = push.direct_file.empty() ? cli::build_image(arguments) : cli::BuiltImage{push.direct_file, {}};
        cli::finish_push(push, plan, built.path, built.descriptor, !arguments.hide_progress);
        return 0;
    });
}
