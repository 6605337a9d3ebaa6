#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/options.h"

namespace runtime {

struct CpuidRegisters {
    uint32_t eax = 0;
    uint32_t ebx = 0;
    uint32_t ecx = 0;
    uint32_t edx = 0;
};

// The CPUID instruction for a leaf and its sub-leaf; zeroes where the CPU has no such leaf.
using Cpuid = std::function<CpuidRegisters(uint32_t leaf, uint32_t subleaf)>;

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
