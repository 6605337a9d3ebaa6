#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <string>

#include "runtime/options.h"

namespace runtime {

// The JSON object that offer-template prints for this machine, without the newline. A VM is started where the CPU that VMs have is not
// known yet (guest_cpu), and where the options name a GPU, to examine it (self_test). Throws base::Error where this machine could not run a
// VM, or only by emulation that was not requested.
boost::asio::awaitable<std::string> make_offer(boost::asio::any_io_executor executor, Options options);

}  // namespace runtime
