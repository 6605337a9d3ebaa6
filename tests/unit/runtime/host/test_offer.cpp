#include "runtime/host/offer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace {

using runtime::CpuidRegisters;
using testing::ElementsAre;

// "abcd" as a register holds it.
uint32_t text(const char* four) {
    uint32_t bytes = 0;
    std::memcpy(&bytes, four, sizeof bytes);
    return bytes;
}

runtime::Cpuid answering(std::map<uint32_t, CpuidRegisters> leaves) {
    return [leaves = std::move(leaves)](uint32_t leaf, uint32_t) {
        const auto found = leaves.find(leaf);
        return found == leaves.end() ? CpuidRegisters{} : found->second;
    };
}

TEST(DescribeCpu, ReadsVendorBrandAndModel) {
    const runtime::Cpu cpu = runtime::describe_cpu(answering({
        {0, {7, text("Genu"), text("ntel"), text("ineI")}},
        {1, {0x000506e3, 0, 0, 0}},
        {0x80000000, {0x80000008, 0, 0, 0}},
        {0x80000002, {text("    "), text("  In"), text("tel("), text("R) C")}},
        {0x80000003, {text("ore "), text("i7-6"), text("700 "), text("CPU ")}},
        {0x80000004, {text("@ 3."), text("4\x01G\x9b"), text("z \0\0"), 0}},
    }));
    EXPECT_EQ(cpu.vendor, "GenuineIntel");
    EXPECT_EQ(cpu.brand, "Intel(R) Core i7-6700 CPU @ 3.4Gz");
    EXPECT_EQ(cpu.model, "Stepping 3 Family 6 Model 94");
    EXPECT_THAT(cpu.capabilities, ElementsAre());
}

TEST(DescribeCpu, AddsTheExtendedFamilyAndShiftsTheExtendedModel) {
    // AMD's Zen 4: family 0xf + 0xa, model 0x1 and extended 0x6.
    EXPECT_EQ(runtime::describe_cpu(answering({{1, {0x00a60f12, 0, 0, 0}}})).model, "Stepping 2 Family 25 Model 97");
}

TEST(FeatureNames, AreAsCpuidHasThem) {
    const auto bit = [](unsigned n) { return 1U << n; };
    const std::vector<std::string> names = runtime::feature_names(
        {.leaf1_ecx = bit(0) | bit(2) | bit(11) | bit(13) | bit(19) | bit(20) | bit(24) | bit(25) | bit(27) | bit(31),
         .leaf1_edx = bit(8) | bit(19) | bit(31),
         .leaf7_ebx = bit(1) | bit(3) | bit(5) | bit(9) | bit(21) | bit(22) | bit(31),
         .leaf7_ecx = bit(0) | bit(22) | bit(30) | bit(31)});
    EXPECT_THAT(runtime::feature_names({}), ElementsAre());
    EXPECT_THAT(names, ElementsAre("sse3", "dtes64", "cmpxchg16b", "sse41", "sse42", "tsc_deadline", "aesni", "osxsave", "hypervisor",
                                   "cx8", "clfsh", "pbe", "adjust_msr", "bmi1", "avx2", "rep_movsb_stosb", "avx512_ifma", "avx512vl",
                                   "prefetchwt1", "rdpid", "sgx_lc"));
}

TEST(OfferJson, IsOneObject) {
    const std::string offer = runtime::offer_json({.vendor = "V", .brand = "B \"x\"", .model = "M", .capabilities = {"sse3"}}, {});
    EXPECT_EQ(offer.find('\n'), std::string::npos);
    const nlohmann::json expected = {
        {"constraints", ""},
        {"properties",
         {{"golem.inf.cpu.vendor", "V"},
          {"golem.inf.cpu.brand", "B \"x\""},
          {"golem.inf.cpu.model", "M"},
          {"golem.inf.cpu.capabilities", {"sse3"}},
          {"golem.runtime.capabilities", {"inet", "vpn", "manifest-support", "start-entrypoint", "thin-image"}}}}};
    EXPECT_EQ(nlohmann::json::parse(offer), expected);
}

TEST(OfferJson, HasWhatTheSelfTestImageSaysOfAGpu) {
    const std::string offer = runtime::offer_json({}, R"({"gpu": {"model": "GeForce"}})"
                                                      "\n");
    const nlohmann::json properties = nlohmann::json::parse(offer).at("properties");
    EXPECT_THAT(properties.at("golem.runtime.capabilities"),
                ElementsAre("inet", "vpn", "manifest-support", "start-entrypoint", "thin-image", "gpu", "!exp:gpu"));
    for (const char* name : {"golem.inf", "golem.!exp.gap-35.v1.inf"})
        EXPECT_EQ(properties.at(name).at("gpu").at("model"), "GeForce");
    for (const char* said : {"", "no JSON", "[1]", "{} and more"})
        EXPECT_THROW(runtime::offer_json({}, said), base::Error) << said;
}

}  // namespace
