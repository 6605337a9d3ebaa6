#include "dbg/options.h"

#include <unistd.h>

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

}  // namespace

std::vector<std::string> deploy_argv(const Options& options) {
    std::vector<std::string> argv = common_argv(options);
    argv.emplace_back("deploy");
    argv.insert(argv.end(), options.deploy_arguments.begin(), options.deploy_arguments.end());
    return argv;
}

std::vector<std::string> start_argv(const Options& options) {
    std::vector<std::string> argv = common_argv(options);
    argv.emplace_back("start");
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
    if (options.runtime.empty()) options.runtime = fs::read_symlink("/proc/self/exe").parent_path() / "ya-runtime-vm";
    require_file("runtime", options.runtime);
    if (!options.task_package.empty()) require_file("task package", options.task_package);
    if (!options.script.empty()) require_file("script", options.script);
    if (options.run_again && options.syncs.empty()) throw base::Error("--run needs --sync, whose changes it waits for");
}

}  // namespace dbg
