// Folder dbg: the local debugger: deploys and starts an image as a provider would, and runs commands in it.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace dbg {

enum class ExecMode { shell, exec };

// A folder of this machine and where the VM has it.
struct SyncOption {
    std::filesystem::path folder;
    std::string guest;
};

// "DIR:GUEST", where GUEST is absolute. Throws base::Error.
SyncOption parse_sync(const std::string& text);

// What ya-runtime-dbg's command line says (docs/spec/cli.md).
struct Options {
    std::filesystem::path runtime;  // empty: ya-runtime-vm beside this program
    std::filesystem::path workdir;  // empty: a temporary folder, removed at the end
    std::filesystem::path task_package;
    ExecMode mode = ExecMode::shell;
    std::string shell = "bash";      // for /bin/SHELL -c LINE
    std::string protocol = "0.1.0";  // the version that hello says
    bool deploy = true;
    std::vector<std::string> deploy_arguments;   // after "deploy"
    std::vector<std::string> start_arguments;    // after "start"
    std::vector<std::string> runtime_arguments;  // before either
    std::optional<std::string> command;          // run this one and pass its exit code through; none: lines from standard input
    std::filesystem::path script;                // run this exe script instead
    std::vector<SyncOption> syncs;               // keep these folders current in volumes
    std::optional<std::string> run_again;        // run this command, and again after each change of those
    std::function<std::string()> greeting;       // what a person who types is told once the VM is up; may be empty
};

// The runtime's command line, with absolute paths, since the runtime is started in the workdir, which must be set.
std::vector<std::string> deploy_argv(const Options& options);
std::vector<std::string> start_argv(const Options& options);

// Sets the runtime's default. Throws base::Error where the runtime or an image does not exist.
void complete(Options& options);

}  // namespace dbg
