#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "runtime/options.h"

namespace runtime {

// `test` (exe-unit.md): boots a VM from the packaged self-test image with a volume, a storage and a ram mount, runs its program, and looks
// at what that left on the host. Works in a folder of its own below the workdir, which is removed. Takes cores and memory of the options.
// Throws base::Error that says what is wrong and what to do.
boost::asio::awaitable<void> self_test(boost::asio::any_io_executor executor, Options options);

}  // namespace runtime
