#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace runtime {

struct CpuidRegisters {
    uint32_t eax = 0;
    uint32_t ebx = 0;
    uint32_t ecx = 0;
    uint32_t edx = 0;
};

// The CPUID instruction for a leaf and its sub-leaf; zeroes where the CPU has no such leaf.
using Cpuid = std::function<CpuidRegisters(uint32_t leaf, uint32_t subleaf)>;

// The CPUID of the CPU that we run on.
CpuidRegisters this_cpu(uint32_t leaf, uint32_t subleaf);

// Appends the characters of a register, except those that are no text: a hypervisor may have made them up.
void add_text(std::string& to, uint32_t bytes);

}  // namespace runtime
