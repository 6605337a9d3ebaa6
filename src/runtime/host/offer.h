#pragma once

#include <cstdint>
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
    std::vector<std::string> capabilities;  // names of features (feature_names)
};

// The registers of CPUID whose bits are features: two of leaf 1, and two of leaf 7, sub-leaf 0.
struct CpuFeatures {
    uint32_t leaf1_ecx = 0;
    uint32_t leaf1_edx = 0;
    uint32_t leaf7_ebx = 0;
    uint32_t leaf7_ecx = 0;
};

// CPUID's own names of features, lower case.
std::vector<std::string> feature_names(const CpuFeatures& features);

// All but the capabilities, which are not this machine's: a VM has fewer.
Cpu describe_cpu(const Cpuid& cpuid);

// The JSON object that offer-template prints, without the newline; `gpu` is the self-test image's description of the GPU, if there is one.
// Throws base::Error where that is no JSON object.
std::string offer_json(const Cpu& cpu, const std::optional<std::string>& gpu);

}  // namespace runtime
