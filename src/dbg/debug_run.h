#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <vector>

#include "dbg/session.h"
#include "debug/debug.pb.h"

namespace dbg {

// A request to run these words with the options' user, folder and environment. argv[0] is the base name, as for a requestor's command.
debug::Run debug_run(const Options& options, const std::vector<std::string>& words, bool terminal);

// Runs the first of these that the image has, with our standard streams, and returns its exit code.
boost::asio::awaitable<int> use_attached(Session& session, std::vector<debug::Run> choices);

}  // namespace dbg
