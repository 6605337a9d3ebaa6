#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <string>

#include "runtime/options.h"

namespace runtime {

// `test` (docs/spec/exe-unit.md): boots a VM from the packaged self-test image with a volume, a storage and a ram mount, runs its program,
// and checks what that left on the host. Returns the program's standard output (for a GPU, JSON). Works in its own folder below the workdir
// and removes it. Uses the options' cores and memory. Throws base::Error with the fault and a remedy.
boost::asio::awaitable<std::string> self_test(boost::asio::any_io_executor executor, Options options);

}  // namespace runtime
