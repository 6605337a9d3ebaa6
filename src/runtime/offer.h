#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <optional>
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

// The JSON object that offer-template prints, without the newline; `gpu` is what the self-test image says of one, none where there is none.
// Throws base::Error where it is no JSON object.
std::string offer_json(const Cpu& cpu, const std::optional<std::string>& gpu);

// The same for this machine. Where the options have a GPU, a VM is started that looks at it (self_test). Throws base::Error where it could
// not run a VM, or only by emulation that was not asked for.
boost::asio::awaitable<std::string> make_offer(boost::asio::any_io_executor executor, Options options);

}  // namespace runtime
