#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <string>

#include "runtime/options.h"

namespace runtime {

// `test` (docs/spec/exe-unit.md): boots a VM from the packaged self-test image with a volume, a storage and a ram mount, runs its program,
// and looks at what that left on the host; returns what the program said on its standard output (of a GPU, JSON). Works in a folder of its
// own below the workdir, which is removed. Takes cores and memory of the options. Throws base::Error that says what is wrong and what to
// do.
boost::asio::awaitable<std::string> self_test(boost::asio::any_io_executor executor, Options options);

}  // namespace runtime
