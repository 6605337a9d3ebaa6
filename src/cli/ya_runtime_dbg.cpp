// ya-runtime-dbg: runs an image locally, as a provider would (docs/spec/cli.md).
#include <algorithm>
#include <future>
#include <map>
#include <string_view>

#include "base/error.h"
#include "base/log.h"
#include "cli/common.h"
#include "cli/dbg_commands.h"
#include "cli/docker_differences.h"
#include "cli/image_cache.h"
#include "dbg/session.h"

namespace {

constexpr const char* kExample =
    "ya-runtime-dbg -t hello.gvmi --exec 'uname -r' -- --cpu-cores 2\n"
    "At a terminal the image's shell takes the keyboard; its end (Ctrl-D, exit) ends the VM. With --exec-mode, or where standard input is "
    "no terminal, each line is a command of its own, as a requestor's.\n"
    "The exit code is the shell's, or the last command's. What comes after -- are the runtime's own arguments.";

// Refuses what `parse` throws base::Error for, as wrong usage.
template <typename T>
CLI::Option* add_parsed(CLI::App& app, const std::string& name, std::vector<T>& values, T (*parse)(const std::string&), const char* help) {
    CLI::callback_t add = [name, &values, parse](const CLI::results_t& results) {
        try {
            values.push_back(parse(results.back()));
        } catch (const base::Error& e) {
            throw CLI::ValidationError(name, e.what());
        }
        return true;
    };
    return app.add_option(name, std::move(add), help)->type_name("TEXT")->trigger_on_parse()->allow_extra_args(false);
}

void add_vm_options(CLI::App& app, dbg::Options& options) {
    app.add_option("-r,--runtime", options.runtime, "The runtime to start [ya-runtime-vm beside this program]")->type_name("FILE");
    app.add_option("-w,--workdir", options.workdir, "Folder for the VM's files, made if missing [a temporary one, removed at the end]")
        ->type_name("DIR");
    app.add_option("-t,--task-package", options.task_package,
                   "The image to deploy: a .gvmi, or whatever gvmkit-build takes, also a folder with a Dockerfile")
        ->option_text("IMAGE");
    app.add_option("-p,--protocol", options.protocol, "Version of the protocol to say hello with")->capture_default_str();
    app.add_flag("!--no-deploy", options.deploy, "Start what was deployed in the workdir before");
    app.add_option("--deploy-arg", options.deploy_arguments, "Arguments after `deploy`");
    app.add_option("--start-arg", options.start_arguments, "Arguments after `start`");
}

// What is run, and how.
void add_command_options(CLI::App& app, dbg::Options& options) {
    app.add_option("--exec", options.command, "Run this command with our standard streams, pass its exit code through, and end");
    app.add_option("--exec-shell", options.shell, "The shell below /bin; sh where the image lacks it")->capture_default_str();
    const std::map<std::string, dbg::ExecMode> modes{{"shell", dbg::ExecMode::shell}, {"exec", dbg::ExecMode::exec}};
    app.add_option("--exec-mode", options.mode,
                   "Run each line as a requestor's command, by the supervisor's protocol alone: by a shell in the image, or split here")
        ->transform(CLI::CheckedTransformer(modes, CLI::ignore_case))
        ->option_text("shell|exec");
    app.add_option("--script", options.script, "Run an exe script as requestors send it, and print each result as a line of JSON")
        ->type_name("FILE")
        ->excludes("--exec")
        ->excludes("--no-deploy");
}

// What a requestor cannot ask for; they need the debug channel.
void add_channel_options(CLI::App& app, dbg::Options& options) {
    app.add_option("--name", options.name, "The VM's name for the sub-commands [the image's, numbered where it is taken]");
    cli::add_program_options(app, options);
    add_parsed(app, "--publish", options.published, &dbg::parse_published_port, "Lead a port of this machine to one of the VM; repeatable")
        ->option_text("[ADDRESS:]HOST:GUEST");
}

void add_sync_options(CLI::App& app, dbg::Options& options) {
    add_parsed(app, "--sync", options.syncs, &dbg::parse_sync, "Keep a place in a volume like a folder of this machine; repeatable")
        ->option_text("DIR:GUEST")
        ->excludes("--script")
        ->excludes("--no-deploy");
    app.add_option("--run", options.run_again, "With --sync: run this command, and again after each change")
        ->excludes("--exec")
        ->excludes("--script");
}

void add_network_options(CLI::App& app, dbg::Options& options) {
    app.add_option("--outbound", options.outbound,
                   "Give the VM a network card: with everything behind it, or what a payload manifest allows")
        ->option_text("all|MANIFEST");
    app.add_option("--record", options.record, "With --outbound all: write the URLs that were reached, as a manifest has them")
        ->type_name("FILE");
}

int run(dbg::Options& options, bool lint) {
    std::future<std::string> differences;  // looked for while the VM starts
    if (lint && !options.task_package.empty() && dbg::is_interactive(options)) {
        differences = std::async(std::launch::async, cli::docker_differences, options.task_package);
        options.greeting = [&differences] { return differences.get(); };
    }
    return dbg::run_session(options);
}

}  // namespace

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): outside of run only a wrong option throws
    base::log_to_stderr("ya-runtime-dbg");
    CLI::App app("Runs an image in a VM on this machine, exactly as a provider would.");
    cli::describe(app, kExample);
    dbg::Options options;
    // Removed here, because CLI11 takes a -- after an option of several values only as their end.
    const bool has_sub_command = argc > 1 && *argv[1] != '-';
    char** const mark = has_sub_command ? argv + argc : std::find(argv, argv + argc, std::string_view("--"));
    if (mark != argv + argc) options.runtime_arguments.assign(mark + 1, argv + argc);
    add_vm_options(app, options);
    add_command_options(app, options);
    add_channel_options(app, options);
    add_sync_options(app, options);
    add_network_options(app, options);
    bool lint = true;
    app.add_flag("!--no-lint", lint, "Do not tell a person who types what differs from Docker");
    cli::Action chosen;
    cli::add_commit_command(app, chosen);
    cli::add_cp_command(app, chosen);
    cli::add_diff_command(app, chosen);
    cli::add_exec_command(app, chosen);
    cli::add_logs_command(app, chosen);
    cli::add_ps_command(app, chosen);
    cli::add_stats_command(app, chosen);
    cli::add_stop_command(app, chosen);
    app.require_subcommand(0, 1);
    return cli::run(app, static_cast<int>(mark - argv), argv, [&options, &lint, &chosen] {
        if (chosen) return chosen();
        options.image = options.task_package.string();
        const cli::CachedImage image = cli::cached_image(options.task_package);  // stays in the cache while the VM runs
        options.task_package = image.path;
        dbg::complete(options);
        return run(options, lint);
    });
}
