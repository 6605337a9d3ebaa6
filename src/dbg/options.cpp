#include "dbg/options.h"

#include <unistd.h>

#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/untrusted_text.h"

namespace dbg {
namespace fs = std::filesystem;
namespace {

std::vector<std::string> common_argv(const Options& options) {
    std::vector<std::string> argv{fs::absolute(options.runtime), "--workdir", fs::absolute(options.workdir)};
    if (!options.task_package.empty()) argv.insert(argv.end(), {"--task-package", fs::absolute(options.task_package)});
    argv.insert(argv.end(), options.runtime_arguments.begin(), options.runtime_arguments.end());
    return argv;
}

void require_file(const char* what, const fs::path& path) {
    if (::access(path.c_str(), F_OK) != 0) base::throw_errno(what, " ", path);
}

fs::path own_runtime() {
    return fs::read_symlink("/proc/self/exe").parent_path() / "ya-runtime-vm";
}

void require_debug_channel(const Options& options) {
    if (has_debug_channel(options)) return;
    const std::pair<const char*, bool> given[] = {{"--name", !options.name.empty()},      {"--user", !options.user.empty()},
                                                  {"--cwd", !options.work_dir.empty()},   {"--env", !options.environment.empty()},
                                                  {"--tty", options.tty.value_or(false)}, {"--publish", !options.published.empty()}};
    for (const auto& [option, is_given] : given) {
        if (is_given)
            throw base::Error(std::string(option) + ": " +
                              (options.mode
                                   ? "not with --exec-mode, since a requestor cannot ask for it"
                                   : "only with the ya-runtime-vm beside this program, not with --runtime " + options.runtime.string()));
    }
}

}  // namespace

bool has_debug_channel(const Options& options) {
    std::error_code missing;
    return !options.mode && (options.runtime.empty() || fs::equivalent(options.runtime, own_runtime(), missing));
}

bool is_interactive(const Options& options) {
    return !options.command && !options.run_again && options.script.empty() && ::isatty(STDIN_FILENO) == 1;
}

bool wants_terminal(const Options& options) {
    return options.tty.value_or(::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1);
}

std::vector<std::string> deploy_argv(const Options& options) {
    std::vector<std::string> argv = common_argv(options);
    argv.emplace_back("deploy");
    argv.insert(argv.end(), options.deploy_arguments.begin(), options.deploy_arguments.end());
    return argv;
}

std::vector<std::string> start_argv(const Options& options, const fs::path& debug_socket) {
    std::vector<std::string> argv = common_argv(options);
    argv.emplace_back("start");
    if (!debug_socket.empty()) argv.insert(argv.end(), {"--debug-socket", debug_socket});
    argv.insert(argv.end(), options.start_arguments.begin(), options.start_arguments.end());
    return argv;
}

SyncOption parse_sync(const std::string& text) {
    // The last colon before a slash: a folder's name may have colons.
    const size_t colon = text.rfind(":/");
    if (colon == std::string::npos || colon == 0)
        throw base::Error("--sync " + base::quote(text) + ": not DIR:GUEST with an absolute GUEST");
    return {.folder = text.substr(0, colon), .guest = text.substr(colon + 1)};
}

void complete(Options& options) {
    if (options.runtime.empty()) options.runtime = own_runtime();
    require_file("runtime", options.runtime);
    if (!options.task_package.empty()) require_file("task package", options.task_package);
    if (!options.script.empty()) require_file("script", options.script);
    if (!options.outbound.empty() && options.outbound != "all") require_file("manifest", options.outbound);
    if (!options.record.empty() && options.outbound != "all")
        throw base::Error("--record needs --outbound all, whose connections it notes");
    if (options.run_again && options.syncs.empty()) throw base::Error("--run needs --sync, whose changes it waits for");
    require_debug_channel(options);
}

}  // namespace dbg
