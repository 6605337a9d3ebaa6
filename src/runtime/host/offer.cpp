#include "runtime/host/offer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace runtime {
namespace {

// The features that are bits of one register, from bit 0 on, in CPUID's own names as offers on the market write them; "-" stands for a bit
// that is reserved or that no offer names.
constexpr std::string_view kLeaf1Ecx =
    "sse3 pclmulqdq dtes64 monitor dscpl vmx smx eist tm2 ssse3 cnxtid - fma cmpxchg16b - pdcm "
    "- pcid dca sse41 sse42 x2apic movbe popcnt tsc_deadline aesni xsave osxsave avx f16c rdrand hypervisor";
constexpr std::string_view kLeaf1Edx =
    "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov "
    "pat pse36 psn clfsh - ds acpi mmx fxsr sse sse2 ss htt tm - pbe";
constexpr std::string_view kLeaf7Ebx =
    "fsgsbase adjust_msr sgx bmi1 hle avx2 fdp smep bmi2 rep_movsb_stosb invpcid rtm rdtm deprecate_fpu_cs_ds mpx rdta "
    "avx512f avx512dq rdseed adx smap avx512_ifma - clflushopt clwb processor_trace avx512pf avx512er avx512cd sha avx512bw avx512vl";
constexpr std::string_view kLeaf7Ecx =
    "prefetchwt1 - umip pku ospke - - - - - - - - - - - "
    "- - - - - - rdpid - - - - - - - sgx_lc -";

void add_features(std::vector<std::string>& to, std::string_view names, uint32_t bits) {
    std::istringstream words{std::string(names)};
    std::string name;
    for (int bit = 0; words >> name; bit++) {
        if ((bits >> bit & 1) != 0 && name != "-") to.push_back(name);
    }
}

std::string brand_of(const Cpuid& cpuid) {
    constexpr uint32_t kExtended = 0x80000000;
    constexpr uint32_t kFirst = 0x80000002;
    constexpr uint32_t kLast = 0x80000004;
    if (cpuid(kExtended, 0).eax < kLast) return {};
    std::string brand;
    for (uint32_t leaf = kFirst; leaf <= kLast; leaf++) {
        const CpuidRegisters part = cpuid(leaf, 0);
        for (const uint32_t bytes : {part.eax, part.ebx, part.ecx, part.edx})
            add_text(brand, bytes);
    }
    const size_t begin = brand.find_first_not_of(' ');
    return begin == std::string::npos ? "" : brand.substr(begin, brand.find_last_not_of(' ') - begin + 1);
}

}  // namespace

std::vector<std::string> feature_names(const CpuFeatures& features) {
    std::vector<std::string> names;
    add_features(names, kLeaf1Ecx, features.leaf1_ecx);
    add_features(names, kLeaf1Edx, features.leaf1_edx);
    add_features(names, kLeaf7Ebx, features.leaf7_ebx);
    add_features(names, kLeaf7Ecx, features.leaf7_ecx);
    return names;
}

Cpu describe_cpu(const Cpuid& cpuid) {
    Cpu cpu;
    const CpuidRegisters vendor = cpuid(0, 0);
    for (const uint32_t bytes : {vendor.ebx, vendor.edx, vendor.ecx})
        add_text(cpu.vendor, bytes);
    cpu.brand = brand_of(cpuid);

    const uint32_t signature = cpuid(1, 0).eax;
    const uint32_t stepping = signature & 0xf;
    const uint32_t family = (signature >> 8 & 0xf) + (signature >> 20 & 0xff);
    const uint32_t model = (signature >> 4 & 0xf) + (signature >> 16 & 0xf) * 16;
    cpu.model = fmt::format("Stepping {} Family {} Model {}", stepping, family, model);
    return cpu;
}

std::string offer_json(const Cpu& cpu, const std::optional<std::string>& gpu) {
    nlohmann::json properties;
    properties["golem.inf.cpu.vendor"] = cpu.vendor;
    properties["golem.inf.cpu.brand"] = cpu.brand;
    properties["golem.inf.cpu.model"] = cpu.model;
    properties["golem.inf.cpu.capabilities"] = cpu.capabilities;
    nlohmann::json& capabilities =
        properties["golem.runtime.capabilities"] = {"inet", "vpn", "manifest-support", "start-entrypoint", "thin-image"};
    if (gpu) {
        capabilities.insert(capabilities.end(), {"gpu", "!exp:gpu"});
        nlohmann::json gpu_properties =
            base::with_context("what the self-test image says of the GPU", [&gpu] { return base::parse_json(*gpu); });
        if (!gpu_properties.is_object()) throw base::Error("what the self-test image says of the GPU: it is not a JSON object");
        properties["golem.inf"] = gpu_properties;
        // By which published examples of requestors filter.
        properties["golem.!exp.gap-35.v1.inf"] = std::move(gpu_properties);
    }
    return base::to_text({{"properties", properties}, {"constraints", ""}});
}

}  // namespace runtime
