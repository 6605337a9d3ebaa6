#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/event.h"
#include "base/fd.h"
#include "exeunit/server.h"
#include "runtime/counters.h"
#include "runtime/debug_server.h"
#include "runtime/entrypoint.h"
#include "runtime/guest_log.h"
#include "runtime/options.h"
#include "runtime/session.h"

namespace runtime {

// `start`: a session with a supervisor over its pipe (docs/spec/exe-unit.md, "start: the pipe"). Construct it before the io_context runs,
// and keep it until the io_context has stopped.
class Service {
public:
    // `arguments` are those after `start`: "start-entrypoint" runs the image's entrypoint once the VM is up.
    Service(const boost::asio::any_io_executor& executor, Options options, std::vector<std::string> arguments);

    // Serves the pipe until a Shutdown, end of file, a broken frame or a signal (SIGTERM, SIGINT, SIGHUP); then it ends the VM.
    boost::asio::awaitable<void> run(base::UniqueFd input, base::UniqueFd output);

private:
    boost::asio::awaitable<void> boot();
    boost::asio::awaitable<void> start_vm();
    boost::asio::awaitable<void> start_entrypoint();
    boost::asio::awaitable<void> stop();
    boost::asio::awaitable<void> handle(ya_runtime_api::Request request);
    boost::asio::awaitable<void> answer(const ya_runtime_api::Request& request, ya_runtime_api::Response& response);
    boost::asio::awaitable<void> up();
    boost::asio::awaitable<void> configure(const ya_runtime_api::CreateNetwork& request, ya_runtime_api::Response& response);
    void start_counters();
    void tell_state(const char* name, const std::string& reason = {});
    void end(const std::string& reason);
    SessionEvents session_events();
    DebugHost debug_host();
    void process_ended(ProcessEnd end);

    boost::asio::any_io_executor executor_;
    SandboxPlan plan_;
    std::vector<std::string> arguments_;
    std::unique_ptr<exeunit::Server> server_;
    Session session_;
    GuestLog console_log_;
    GuestLog entrypoint_log_;
    uint64_t entrypoint_ = 0;             // its pid
    std::unique_ptr<DebugServer> debug_;  // if it was asked for
    std::unique_ptr<Counters> counters_;  // if they were requested
    bool booted_ = false;                 // successfully or not
    std::string failure_;                 // why there is no VM
    bool ending_ = false;                 // no more requests are served
    std::vector<uint64_t> shutdowns_;     // requests to answer at the very end
    base::Event changed_;                 // booted_ or ending_ was set
};

}  // namespace runtime
