// ya-runtime-dbg: runs an image locally, as a provider would (docs/spec/cli.md).
#include <algorithm>
#include <map>
#include <string_view>

#include "base/log.h"
#include "cli/common.h"
#include "dbg/session.h"

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): outside of run only a wrong option throws
    base::log_to_stderr("ya-runtime-dbg");
    CLI::App app("Runs commands in a VM on this machine, exactly as a provider would: one with --exec, else each line of standard input.");
    cli::describe(app,
                  "ya-runtime-dbg -t hello.gvmi --exec 'uname -r' -- --cpu-cores 2\n"
                  "Each line is a process of its own, so `cd` does not last; Ctrl-C is for the command, Ctrl-\\ kills it, Ctrl-D or exit "
                  "ends the VM.\n"
                  "The exit code is the last command's. What comes after -- are the runtime's own arguments.");
    dbg::Options options;
    // Removed here, because CLI11 takes a -- after an option of several values only as their end.
    char** const mark = std::find(argv, argv + argc, std::string_view("--"));
    if (mark != argv + argc) options.runtime_arguments.assign(mark + 1, argv + argc);
    app.add_option("-r,--runtime", options.runtime, "The runtime to start [ya-runtime-vm beside this program]");
    app.add_option("-w,--workdir", options.workdir, "Folder for the VM's files, made if missing [a temporary one, removed at the end]");
    app.add_option("-t,--task-package", options.task_package, "The image to deploy");
    CLI::Option* exec = app.add_option("--exec", options.command, "Run this command, pass its output and exit code through, and end");
    const std::map<std::string, dbg::ExecMode> modes{{"shell", dbg::ExecMode::shell}, {"exec", dbg::ExecMode::exec}};
    app.add_option("--exec-mode", options.mode, "How a line is run: by a shell in the image, or split here and executed [shell]")
        ->transform(CLI::CheckedTransformer(modes, CLI::ignore_case))
        ->option_text("shell|exec");
    app.add_option("--exec-shell", options.shell, "The shell below /bin; sh where the image lacks it")->capture_default_str();
    std::vector<std::string> syncs;
    CLI::Option* script =
        app.add_option("--script", options.script, "Run an exe script as requestors send it, and print each result as a line of JSON")
            ->excludes(exec);
    CLI::Option* sync = app.add_option("--sync", syncs, "Keep a place in a volume like a folder of this machine; repeatable")
                            ->option_text("DIR:GUEST")
                            ->excludes(script)
                            ->allow_extra_args(false);
    app.add_option("--run", options.run_again, "With --sync: run this command, and again after each change")
        ->excludes(exec)
        ->excludes(script);
    app.add_option("-p,--protocol", options.protocol, "Version of the protocol to say hello with")->capture_default_str();
    app.add_flag("!--no-deploy", options.deploy, "Start what was deployed in the workdir before")->excludes(script)->excludes(sync);
    app.add_option("--deploy-arg", options.deploy_arguments, "Arguments after `deploy`");
    app.add_option("--start-arg", options.start_arguments, "Arguments after `start`");
    return cli::run(app, static_cast<int>(mark - argv), argv, [&options, &syncs] {
        for (const std::string& text : syncs)
            options.syncs.push_back(dbg::parse_sync(text));
        dbg::complete(options);
        return dbg::run_session(options);
    });
}
