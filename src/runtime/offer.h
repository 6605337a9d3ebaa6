#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <string>
#include <vector>

#include "runtime/cpuid.h"
#include "runtime/options.h"

namespace runtime {

// What an offer says of a CPU (exe-unit.md, offer-template).
struct Cpu {
    std::string vendor;
    std::string brand;
    std::string model;                      // "Stepping S Family F Model M"
    std::vector<std::string> capabilities;  // CPUID's own names of features, lower case
};

Cpu describe_cpu(const Cpuid& cpuid);

// The JSON object that offer-template prints, without the newline.
std::string offer_json(const Cpu& cpu);

// The same for this machine. Throws base::Error where it could not run a VM, or only by emulation that was not asked for.
boost::asio::awaitable<std::string> make_offer(boost::asio::any_io_executor executor, Options options);

}  // namespace runtime
