#include <csignal>

#include "dbg/session.h"
#include "dbg/uses.h"
#include "dbg/workdir.h"

namespace dbg {
namespace {

Session::Use use_for(const Options& options) {
    if (!options.script.empty()) return use_script;
    if (options.run_again) return use_again;
    if (options.command) return use_once;
    return use_lines;
}

}  // namespace

int run_session(const Options& options) {
    (void)std::signal(SIGPIPE, SIG_IGN);
    const Workdir workdir(options.workdir);
    Options with_workdir = options;
    with_workdir.workdir = workdir.path();
    return Session(with_workdir).run(use_for(options));
}

}  // namespace dbg
