#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <filesystem>

#include "base/fd.h"

namespace runtime {

// VMs that start at once on a machine take turns, as many at a time as it has CPUs: started together, all would be as slow as the last. A
// turn is a lock on one of CACHE_DIR/starts/0, 1, …; it ends with its descriptor, and so with its process. Returns none where no turn came
// within `limit`, so that a VM that hangs cannot hold up others for long, or where there can be no locks.
boost::asio::awaitable<base::UniqueFd> take_turn(boost::asio::any_io_executor executor, std::filesystem::path cache_dir,
                                                 std::chrono::steady_clock::duration limit);

}  // namespace runtime
