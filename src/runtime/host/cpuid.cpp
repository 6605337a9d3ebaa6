#include "runtime/host/cpuid.h"

#include <cpuid.h>

namespace runtime {

CpuidRegisters this_cpu(uint32_t leaf, uint32_t subleaf) {
    // A hypervisor's own leaves, which the compiler's check of the largest leaf does not cover.
    constexpr uint32_t kHypervisorLeaves = 0x4;
    CpuidRegisters r;
    if (leaf >> 28 == kHypervisorLeaves) {
        __cpuid_count(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
    } else if (__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx) == 0) {
        return {};
    }
    return r;
}

void add_text(std::string& to, uint32_t bytes) {
    for (int shift = 0; shift < 32; shift += 8) {
        const char c = static_cast<char>(bytes >> shift & 0xff);
        if (c >= ' ' && c <= '~') to += c;
    }
}

}  // namespace runtime
