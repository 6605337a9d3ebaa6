#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <string>
#include <vector>

#include "dbg/lines/completion.h"
#include "exeunit/client.h"

namespace dbg {

// Asks the guest for the paths that begin with `prefix`, by a RUN, so with any runtime and any image that has /bin/sh. None where that does
// not work, or takes more than three seconds or kMaxAnswer bytes. Does not throw.
boost::asio::awaitable<std::vector<Candidate>> guest_paths(exeunit::Client& client, boost::asio::any_io_executor executor,
                                                           std::string prefix);

}  // namespace dbg
