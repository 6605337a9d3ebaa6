// The world behind the INET card of a VM under the debugger: passt, and between it and the runtime a filter that does what a provider's
// does.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "dbg/outbound/access.h"
#include "exeunit/client.h"

namespace dbg::outbound {

// For one VM after another.
class Outbound {
public:
    // `say` gets lines for the user. Throws base::Error where passt is not there.
    Outbound(boost::asio::any_io_executor executor, Access access, std::function<void(const std::string& line)> say);
    ~Outbound();
    Outbound(const Outbound&) = delete;
    Outbound& operator=(const Outbound&) = delete;

    // What the runtime's `start` needs before it.
    static std::vector<std::string> runtime_options();
    // The request that follows hello.
    static exeunit::api::CreateNetwork network();
    // Takes its answer: starts passt, and connects it. Throws base::Error. Call it from the main thread.
    void connect(const exeunit::api::NetworkEndpoint& endpoint);

    // URLs of what was let through (Filter::reached).
    const std::set<std::string>& reached() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace dbg::outbound
