// The life of a VM under the debugger: what all ways of using it (uses.h) have in common.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dbg/options.h"
#include "dbg/outbound/outbound.h"
#include "dbg/runtime_log.h"
#include "dbg/synced_folders.h"
#include "exeunit/client.h"
#include "exeunit/launch.h"

namespace dbg {

// Deploys an image, starts the runtime and ends it. One thread does it all. Once `run` has returned the VM may still live; it ends with
// this object at the latest.
class Session {
public:
    // The options' workdir exists; they are complete (dbg::complete). `debug_socket`: where the runtime offers its debug channel; empty:
    // none. `log_file`: a new file for what the runtime tells; empty: memory.
    Session(const Options& options, std::filesystem::path debug_socket, const std::filesystem::path& log_file);

    // What is done with the VM, from hello to shutdown (with --script: also that); returns the exit code. A base::Error is thrown on after
    // the shutdown.
    using Use = std::function<boost::asio::awaitable<int>(Session&)>;

    // Returns the use's exit code, or the one of the end that came first. Throws base::Error where there is no VM, or it has died.
    int run(const Use& use);

    // For uses.
    const Options& options() const { return options_; }
    boost::asio::io_context& io() { return io_; }
    exeunit::Client& client() { return *client_; }
    const std::filesystem::path& debug_socket() const { return debug_socket_; }
    const std::string& deployed() const { return deployed_; }  // the JSON that deploy printed; empty with --no-deploy
    SyncedFolders& synced() { return *synced_; }               // of --sync
    bool interactive() const { return interactive_; }          // a person types at a terminal
    bool ended() const { return io_.stopped(); }

    // How a use takes part in signals and ends. `signal` returns whether that was its own; any other ends the session with 128 + the
    // signal. `ending` is called once, before the session ends for another reason than the use's own. Neither is called after the use's
    // end.
    struct Hooks {
        std::function<bool(int signal)> signal;
        std::function<void()> ending;
    };
    void set_hooks(Hooks hooks) { hooks_ = std::move(hooks); }

    // For a use that deploys and starts by itself; the options are added to the runtime's for this call. `start` returns the start output
    // (docs/spec/exe-unit.md, start arguments).
    boost::asio::awaitable<void> deploy(std::vector<std::string> runtime_options);
    boost::asio::awaitable<std::string> start(std::vector<std::string> runtime_options, std::vector<std::string> arguments);
    boost::asio::awaitable<void> shut_down();

    // Ends the session without a shutdown.
    void end(int code);
    void fail(std::exception_ptr error, int code);

private:
    boost::asio::awaitable<int> work(const Use& use);
    boost::asio::awaitable<void> begin_sync();
    boost::asio::awaitable<void> begin_outbound();
    void write_record() const;
    exeunit::Launched launch(const std::vector<std::string>& argv) const;
    void show_volumes() const;
    void runtime_ended(const std::string& reason);
    void wait_for_signal();
    void before_end();

    const Options& options_;
    std::filesystem::path debug_socket_;
    boost::asio::io_context io_;
    boost::asio::signal_set signals_{io_};
    RuntimeLog log_;
    exeunit::Launched runtime_;
    std::unique_ptr<exeunit::Client> client_;
    std::string deployed_;
    std::string start_output_;
    std::unique_ptr<SyncedFolders> synced_;
    std::unique_ptr<outbound::Outbound> outbound_;  // of --outbound
    Hooks hooks_;
    bool interactive_;
    bool up_ = false;      // it answered hello and was not asked to end
    bool ending_ = false;  // the runtime may close its pipe now
    std::exception_ptr failure_;
    int exit_code_ = 0;
};

// Makes the workdir, uses a VM as the options say, and returns the exit code. Throws base::Error.
int run_session(const Options& options);

}  // namespace dbg
