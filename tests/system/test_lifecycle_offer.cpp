// What a provider learns before it sells anything: offer-template, and a VM's accelerator.
#include <gmock/gmock.h>
#include <unistd.h>

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
