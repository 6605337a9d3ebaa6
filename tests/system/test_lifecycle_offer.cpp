// What a provider learns before it sells anything: offer-template, and a VM's accelerator.
#include <gmock/gmock.h>
#include <unistd.h>

#include <iterator>
#include <map>
#include <set>
#include <sstream>

#include "fixture.h"

namespace system_test {
namespace {

using testing::Contains;
using testing::HasSubstr;

class Offer : public SystemTest {
protected:
    Output offer(const std::vector<std::string>& options) {
        std::vector<std::string> argv{program("ya-runtime-vm"), "--cache-dir", workdir / "cache"};
        argv.insert(argv.end(), options.begin(), options.end());
        argv.emplace_back("offer-template");
        return run_program(argv);
    }
};

void expect_offer(const std::string& text) {
    ASSERT_TRUE(text.ends_with("}\n")) << text;
    EXPECT_EQ(text.find('\n'), text.size() - 1);
    const nlohmann::json offer = nlohmann::json::parse(text);
    EXPECT_EQ(offer.size(), 2U);
    EXPECT_EQ(offer["constraints"], "");
    const nlohmann::json& properties = offer["properties"];
    EXPECT_THAT(properties["golem.inf.cpu.vendor"].get<std::string>(), testing::ContainsRegex("^[A-Za-z]{12}$"));
    EXPECT_THAT(properties["golem.inf.cpu.brand"].get<std::string>(), testing::Not(testing::IsEmpty()));
    EXPECT_THAT(properties["golem.inf.cpu.model"].get<std::string>(),
                testing::ContainsRegex("^Stepping [0-9]+ Family [0-9]+ Model [0-9]+$"));
    const auto capabilities = properties["golem.inf.cpu.capabilities"].get<std::vector<std::string>>();
    for (const char* name : {"fpu", "tsc", "cx8", "clfsh", "sse2"})  // each x86-64 has these
        EXPECT_THAT(capabilities, Contains(name));
    EXPECT_THAT(properties["golem.runtime.capabilities"].get<std::vector<std::string>>(),
                testing::UnorderedElementsAre("inet", "vpn", "manifest-support", "start-entrypoint", "thin-image"));
}

TEST_F(Offer, SellsNoEmulatedCpuByAccident) {
    const Output first = offer({"--accel", "auto"});
    const Output again = offer({});
    EXPECT_EQ(again.code, first.code);
    if (first.code == 0) {
        expect_offer(first.out);
        EXPECT_EQ(offer({"--accel", "kvm"}).code, 0);
        return;
    }
    EXPECT_EQ(first.code, 1);
    EXPECT_EQ(first.out, "");
    EXPECT_THAT(first.err, HasSubstr("error: KVM does not work: /dev/kvm "));
    EXPECT_THAT(first.err, HasSubstr("; to sell software emulation anyway, use --accel tcg\n"));
    // What was learned by booting a guest is remembered, and then nothing but the error is said.
    EXPECT_TRUE(first.err.ends_with(again.err)) << again.err;
    EXPECT_TRUE(again.err.starts_with("error: ")) << again.err;
    EXPECT_EQ(offer({"--accel", "kvm"}).code, 1);
}

std::set<std::string> words(const std::string& text) {
    std::istringstream stream(text);
    return {std::istream_iterator<std::string>(stream), {}};
}

// What an offer can name, as the kernel shows it in /proc/cpuinfo.
const std::set<std::string> kKernelsNames = words(
    "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid fma cx16 pdcm pcid dca sse4_1 sse4_2 x2apic movbe popcnt "
    "tsc_deadline_timer aes xsave avx f16c rdrand hypervisor fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 pn "
    "clflush dts acpi mmx fxsr sse sse2 ss ht tm pbe fsgsbase tsc_adjust sgx bmi1 hle avx2 smep bmi2 erms invpcid rtm cqm mpx rdt_a "
    "avx512f "
    "avx512dq rdseed adx smap avx512ifma clflushopt clwb intel_pt avx512pf avx512er avx512cd sha_ni avx512bw avx512vl umip pku ospke rdpid "
    "sgx_lc");
// And what it does not show.
const std::set<std::string> kUnshown{"osxsave", "fdp", "deprecate_fpu_cs_ds", "prefetchwt1"};

// An offer's capabilities by the kernel's names, without those that it does not show.
std::set<std::string> offered_flags(const std::string& offer) {
    static const std::map<std::string, std::string> kOtherwise{{"sse3", "pni"},
                                                               {"dscpl", "ds_cpl"},
                                                               {"eist", "est"},
                                                               {"cnxtid", "cid"},
                                                               {"cmpxchg16b", "cx16"},
                                                               {"sse41", "sse4_1"},
                                                               {"sse42", "sse4_2"},
                                                               {"tsc_deadline", "tsc_deadline_timer"},
                                                               {"aesni", "aes"},
                                                               {"psn", "pn"},
                                                               {"clfsh", "clflush"},
                                                               {"ds", "dts"},
                                                               {"htt", "ht"},
                                                               {"adjust_msr", "tsc_adjust"},
                                                               {"rep_movsb_stosb", "erms"},
                                                               {"rdta", "rdt_a"},
                                                               {"rdtm", "cqm"},
                                                               {"avx512_ifma", "avx512ifma"},
                                                               {"sha", "sha_ni"},
                                                               {"processor_trace", "intel_pt"}};
    std::set<std::string> flags;
    for (const auto& name : nlohmann::json::parse(offer)["properties"]["golem.inf.cpu.capabilities"].get<std::vector<std::string>>()) {
        const auto found = kOtherwise.find(name);
        if (!kUnshown.contains(name)) flags.insert(found == kOtherwise.end() ? name : found->second);
    }
    return flags;
}

TEST_F(Offer, NamesTheFeaturesThatAVmHas) {
    for (const std::string model : {"max", "Nehalem"}) {
        const std::vector<std::string> options{"--accel", "tcg", "--cpu", model, "--template", "off", "-t", image("plain")};
        const Output first = offer(options);
        ASSERT_EQ(first.code, 0) << first.err;
        std::vector<std::string> run{program("ya-runtime-vm")};
        run.insert(run.end(), options.begin(), options.end());
        run.insert(run.end(), {"run", "--", "/bin/sh", "-c", "grep ^flags /proc/cpuinfo"});
        const Output cpuinfo = run_program(run);
        ASSERT_EQ(cpuinfo.code, 0) << cpuinfo.err;
        std::set<std::string> has;
        for (const std::string& flag : words(cpuinfo.out)) {
            if (kKernelsNames.contains(flag)) has.insert(flag);
        }
        EXPECT_EQ(offered_flags(first.out), has) << model;
        EXPECT_EQ(has.contains("avx2"), model == "max");
    }
}

TEST_F(Offer, AsksAVmOnce) {
    const std::vector<std::string> options{"--accel", "tcg"};
    const Output first = offer(options);
    ASSERT_EQ(first.code, 0) << first.err;
    const fs::path cpu = workdir / "cache/guest-cpu.json";
    ASSERT_TRUE(fs::exists(cpu));
    const auto written = fs::last_write_time(cpu);
    EXPECT_EQ(offer(options).out, first.out);
    EXPECT_EQ(fs::last_write_time(cpu), written);
}

TEST_F(Offer, IsRefusedWhereTheRuntimeIsNotWhole) {
    fs::create_directories(workdir / "bin");
    fs::copy_file(program("ya-runtime-vm"), workdir / "bin/ya-runtime-vm");
    const Output output = run_program({workdir / "bin/ya-runtime-vm", "--accel", "tcg", "offer-template"});
    EXPECT_EQ(output.code, 1);
    EXPECT_EQ(output.out, "");
    EXPECT_THAT(output.err, HasSubstr("the installation is incomplete; reinstall the runtime: cannot open " +
                                      (workdir / "bin/runtime/vmlinux").string()));
}

TEST_F(Offer, StartFallsBackToEmulationAndSaysWhy) {
    const std::vector<std::string> options{"--accel", "auto", "--cache-dir", workdir / "cache"};
    deploy();
    auto runtime = start(options);
    EXPECT_EQ(runtime->sh("echo up").out, "up\n");
    EXPECT_EQ(runtime->shutdown(), 0);
    const bool works = offer({}).code == 0;
    const std::string log = text_of(workdir / "logs/ya-runtime-vm.log");
    EXPECT_EQ(log.find("emulated by software, which is slow, since KVM does not work: /dev/kvm ") == std::string::npos, works) << log;
}

}  // namespace
}  // namespace system_test
