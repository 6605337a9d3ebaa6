#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/host/cpuid.h"

namespace runtime {

// The description of a CPU in an offer (docs/spec/exe-unit.md, offer-template).
struct Cpu {
    std::string vendor;
    std::string brand;
    std::string model;                      // "Stepping S Family F Model M"
    std::vector<std::string> capabilities;  // CPUID's own names of features, lower case
};

Cpu describe_cpu(const Cpuid& cpuid);

// The JSON object that offer-template prints, without the newline; `gpu` is the self-test image's description of the GPU, if there is one.
// Throws base::Error where that is no JSON object.
std::string offer_json(const Cpu& cpu, const std::optional<std::string>& gpu);

}  // namespace runtime
