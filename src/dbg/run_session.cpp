#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <optional>

#include "base/fd.h"
#include "dbg/port_forwarder.h"
#include "dbg/session.h"
#include "dbg/uses.h"
#include "dbg/vm_folder.h"
#include "dbg/workdir.h"
#include "dbg/write_out.h"

namespace dbg {
namespace {

Session::Use use_for(const Options& options) {
    if (!options.script.empty()) return use_script;
    if (options.run_again) return use_again;
    const bool channel = has_debug_channel(options);
    if (options.command) return channel ? use_once_attached : use_once;
    return channel && wants_terminal(options) ? use_terminal : use_lines;
}

}  // namespace

int run_session(const Options& options) {
    (void)std::signal(SIGPIPE, SIG_IGN);
    const Workdir workdir(options.workdir);
    Options with_workdir = options;
    with_workdir.workdir = workdir.path();
    // Held open for `commit`, which may come when the name is another file's.
    base::UniqueFd image;
    if (!options.task_package.empty() && options.deploy) image = base::open_file(options.task_package, O_RDONLY | O_NONBLOCK);
    std::optional<VmFolder> vm_folder;  // by which other commands find the debug channel
    if (has_debug_channel(options)) {
        const Vm vm{.name = options.name,
                    .image = options.image,
                    .workdir = std::filesystem::absolute(workdir.path()),
                    .image_fd = image.get(),
                    .temporary_workdir = options.workdir.empty()};
        vm_folder.emplace(vms_folder(), vm);
    }
    Session session(with_workdir, vm_folder ? vm_folder->vm().socket() : std::filesystem::path(),
                    vm_folder ? vm_folder->vm().log() : std::filesystem::path());
    PortForwarder forwarder(session.io(), options.published);
    const Session::Use use = [&options, &forwarder](Session& started) {
        write_out(STDERR_FILENO, forwarder.description());
        forwarder.serve(started.debug_socket());
        return use_for(options)(started);
    };
    return session.run(use);
}

}  // namespace dbg
