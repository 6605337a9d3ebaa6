#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/host/cpuid.h"

namespace runtime {

// What an offer says of a CPU (docs/spec/exe-unit.md, offer-template).
struct Cpu {
    std::string vendor;
    std::string brand;
    std::string model;                      // "Stepping S Family F Model M"
    std::vector<std::string> capabilities;  // CPUID's own names of features, lower case
};

Cpu describe_cpu(const Cpuid& cpuid);

// The JSON object that offer-template prints, without the newline; `gpu` is what the self-test image says of the GPU, if there is one.
// Throws base::Error where it is no JSON object.
std::string offer_json(const Cpu& cpu, const std::optional<std::string>& gpu);

}  // namespace runtime
