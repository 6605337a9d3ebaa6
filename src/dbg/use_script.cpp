#include <utility>

#include "base/error.h"
#include "base/fd.h"
#include "dbg/commands.h"
#include "dbg/script_run.h"
#include "dbg/uses.h"

namespace dbg {
namespace asio = boost::asio;
namespace api = exeunit::api;
namespace {

asio::awaitable<std::string> deploy_for_script(Session& session, std::vector<std::string> options) {
    co_await session.deploy(std::move(options));
    co_return session.deployed();
}

asio::awaitable<void> make_network(Session& session, api::CreateNetwork network) {
    (void)co_await session.client().network(std::move(network));
}

}  // namespace

asio::awaitable<int> use_script(Session& session) {
    const Options& options = session.options();
    std::vector<ScriptCommand> script =
        base::with_context(options.script.string(), [&options] { return parse_exe_script(base::read_file(options.script, kMaxScript)); });
    Commands commands(session);
    session.set_hooks({.signal = [&commands](int signal) { return commands.take_signal(signal); }, .ending = {}});
    const ScriptVm vm{
        .deploy = [&session](std::vector<std::string> more) { return deploy_for_script(session, std::move(more)); },
        .start = [&session](std::vector<std::string> more,
                            std::vector<std::string> arguments) { return session.start(std::move(more), std::move(arguments)); },
        .run = [&commands](api::RunProcess process,
                           exeunit::StatusHandler status) { return commands.run_process(std::move(process), std::move(status)); },
        .network = [&session](api::CreateNetwork network) { return make_network(session, std::move(network)); },
        .shut_down = [&session] { return session.shut_down(); }};
    const ScriptPlaces places{.workdir = options.workdir, .transfer_limit = transfer_limit(options.runtime_arguments)};
    co_return co_await run_script(session.io().get_executor(), std::move(script), vm, places);
}

}  // namespace dbg
