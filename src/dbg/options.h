// Folder dbg: the local debugger: deploys and starts an image as a provider would, and runs commands in it.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "dbg/published_port.h"

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
    std::string image;               // what the person called it; the VM is named after it
    std::optional<ExecMode> mode;    // given: each line or command is a RUN of the supervisor's protocol, and there is no debug channel
    std::string shell = "bash";      // for /bin/SHELL -c LINE
    std::string protocol = "0.1.0";  // the version that hello says
    bool deploy = true;
    std::vector<std::string> deploy_arguments;   // after "deploy"
    std::vector<std::string> start_arguments;    // after "start"
    std::vector<std::string> runtime_arguments;  // before either
    std::optional<std::string> command;          // run this one and pass its exit code through; none: a terminal's shell, or lines
    std::filesystem::path script;                // run this exe script instead
    std::vector<SyncOption> syncs;               // keep these folders current in volumes
    std::optional<std::string> run_again;        // run this command, and again after each change of those
    // These need the debug channel.
    std::string name;  // of the VM, for other commands; empty: made up
    std::string user;
    std::string work_dir;
    std::vector<std::string> environment;  // "K=V", or "K" for our value
    std::optional<bool> tty;               // none: where standard input and output are terminals
    std::vector<PublishedPort> published;

    std::string outbound;                   // a card with the world behind it: "all", or a payload manifest; empty: no card
    std::filesystem::path record;           // with "all": where the URLs that a manifest needs are written
    std::function<std::string()> greeting;  // what a person who types is told once the VM is up; may be empty
};

// Whether there is a debug channel: --exec-mode asks for the supervisor's protocol alone, and a runtime that does not know --debug-socket
// would refuse to start. What another runtime knows cannot be found out without running it, so only the one beside this program gets the
// option.
bool has_debug_channel(const Options& options);

// Whether a person types at a terminal what is run.
bool is_interactive(const Options& options);

// Whether the program in the VM gets a terminal.
bool wants_terminal(const Options& options);

// The runtime's command line, with absolute paths, since the runtime is started in the workdir, which must be set. An empty `debug_socket`
// asks for no debug channel.
std::vector<std::string> deploy_argv(const Options& options);
std::vector<std::string> start_argv(const Options& options, const std::filesystem::path& debug_socket);

// Sets the runtime's default. Throws base::Error where the runtime or an image does not exist.
void complete(Options& options);

}  // namespace dbg
