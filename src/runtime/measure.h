#pragma once

#include <boost/asio/awaitable.hpp>

#include "debug/debug.pb.h"
#include "runtime/options.h"
#include "runtime/session.h"

namespace runtime {

// What a VM that was started uses. Throws base::Error where it dies.
boost::asio::awaitable<debug::Figures> measure(Session& session, const Options& options);

}  // namespace runtime
