// The command line of ya-runtime-vm (docs/spec/exe-unit.md, docs/spec/cli.md), as its callers write it.
#include <gmock/gmock.h>

#include <fstream>

#include "fixture.h"

namespace system_test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

class CommandsTest : public SystemTest {
protected:
    Output runtime(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), program("ya-runtime-vm"));
        return run_program(arguments);
    }

    json deployment() const { return json::parse(text_of(workdir / "deployment.json")); }

    json images() const { return deployment().at("images"); }
};

TEST_F(CommandsTest, TheSubCommandIsNotAnImage) {
    const std::string a = image("plain");
    const std::string b = image("user-uid");
    const std::string w = workdir;
    const std::vector<std::pair<std::vector<std::string>, json>> forms{
        {{"--workdir", w, "--task-package", a, "deploy", "--"}, {a}},
        {{"-w", w, "-t", a, "deploy"}, {a}},
        {{"--workdir", w, "--task-package", a, b, "deploy", "--"}, {a, b}},
        {{"--workdir", w, "-t", a, "-t", b, "--cpu-cores", "2", "deploy"}, {a, b}},
        {{"deploy", "--workdir", w, "--task-package", a}, {a}},
        {{"--task-package=" + a, "deploy", "--workdir=" + w, "--"}, {a}},
        {{"--task-package", a, "deploy"}, {a}},  // in the current folder
        {{"--task-package", fs::relative(a, workdir), "deploy"}, {a}},
    };
    for (const auto& [arguments, expected] : forms) {
        fs::remove(workdir / "deployment.json");
        const Output output = runtime(arguments);
        ASSERT_EQ(output.code, 0) << testing::PrintToString(arguments) << output.err;
        EXPECT_EQ(output.err, "");
        json found = images();
        for (json& path : found)
            path = fs::path(path.get<std::string>()).lexically_normal().string();
        EXPECT_EQ(found, expected) << testing::PrintToString(arguments);
        EXPECT_EQ(json::parse(output.out)["valid"], (json{{"Ok", ""}}));
    }
}

TEST_F(CommandsTest, OptionsOfASupervisor) {
    const Output output = runtime({"--workdir",
                                   workdir,
                                   "--task-package",
                                   image("plain"),
                                   "--cpu-cores",
                                   "1",
                                   "--mem-gib",
                                   "0.5",
                                   "--storage-gib",
                                   "0.125",
                                   "--accel",
                                   "tcg",
                                   "--volume-override",
                                   R"({"/a":{"host":{}}})",
                                   "--hostname",
                                   "box",
                                   "--hostname",
                                   "last",
                                   "deploy",
                                   "--"});
    ASSERT_EQ(output.code, 0) << output.err;
    EXPECT_EQ(deployment()["hostname"], "last");
    EXPECT_EQ(deployment()["root"]["bytes"], 128 << 20);
    EXPECT_EQ(json::parse(output.out)["vols"][0]["path"], "/a");
}

TEST_F(CommandsTest, OptionsFromTheEnvironment) {
    const Output output = run_program({"/usr/bin/env", "YA_RUNTIME_HOSTNAME=env", R"(YA_RUNTIME_VOLUME_OVERRIDE={"/e":{"host":{}}})",
                                       program("ya-runtime-vm"), "-t", image("plain"), "deploy", "--"});
    ASSERT_EQ(output.code, 0) << output.err;
    EXPECT_EQ(deployment()["hostname"], "env");
    EXPECT_EQ(json::parse(output.out)["vols"][0]["path"], "/e");
}

TEST_F(CommandsTest, ErrorsAndUsage) {
    std::ofstream(workdir / "bad.gvmi") << "not an image, though long enough to be looked at";
    const Output bad = runtime({"-t", workdir / "bad.gvmi", "deploy", "--"});
    EXPECT_EQ(bad.code, 1);
    EXPECT_THAT(bad.err, StartsWith("error: " + (workdir / "bad.gvmi").string()));
    EXPECT_EQ(bad.out, "");
    EXPECT_FALSE(fs::exists(workdir / "deployment.json"));
    EXPECT_EQ(runtime({"deploy"}).code, 1);
    EXPECT_EQ(runtime({"-t", image("plain"), "--volume-override", "{", "deploy"}).code, 1);
    EXPECT_EQ(runtime({}).code, 2);
    EXPECT_EQ(runtime({"--no-such-option", "deploy"}).code, 2);
    EXPECT_EQ(runtime({"--accel", "xen", "deploy"}).code, 2);
    EXPECT_EQ(runtime({"--cpu-cores", "0", "deploy"}).code, 2);
    EXPECT_EQ(runtime({"--cpu", "max,pmu=on", "deploy"}).code, 2);
    for (const char* option : {"--mem-gib", "--storage-gib", "--test-mem-gib"}) {
        for (const char* value : {"-1", "0", "nan", "-nan", "inf", "-inf", "1e300", "x"}) {
            const Output refused = runtime({option, value, "deploy"});
            EXPECT_EQ(refused.code, 2) << option << " " << value;
            EXPECT_THAT(refused.err, HasSubstr(option)) << value;
        }
    }
    const Output help = runtime({"--help"});
    EXPECT_EQ(help.code, 0);
    EXPECT_THAT(help.out, HasSubstr("Example: "));
    EXPECT_EQ(runtime({"--version"}).code, 0);
}

TEST_F(CommandsTest, StartWithoutDeployAndWithWrongArgumentsAreAnswersToHello) {
    const auto error_of = [](Runtime& vm) -> std::string {
        try {
            vm.hello();
        } catch (const exeunit::ResponseError& e) {
            EXPECT_EQ(vm.shutdown(), 0);
            return e.what();
        }
        return "";
    };
    EXPECT_THAT(error_of(*launch()), HasSubstr("nothing has been deployed in"));
    deploy();
    EXPECT_THAT(error_of(*launch({}, {"start-everything"})), HasSubstr("start-everything"));
}

TEST_F(CommandsTest, RunPassesOutputAndExitCode) {
    const auto run = [this](const std::vector<std::string>& command) {
        std::vector<std::string> arguments{"--accel", "tcg", "-t", image("configured"), "run", "--"};
        arguments.insert(arguments.end(), command.begin(), command.end());
        return runtime(arguments);
    };
    const Output both = run({"sh", "-c", "printf out; printf err >&2; exit 7"});
    EXPECT_EQ(both.code, 7);
    EXPECT_EQ(both.out, "out");
    // The line is there on a host without user namespaces, such as a chroot.
    EXPECT_THAT(both.err, MatchesRegex("(ya-runtime-vm: QEMU runs without a part of its confinement: [^\n]*\n)?err"));
    EXPECT_EQ(run({}).out, "started as entry with one two words\n");
    EXPECT_EQ(run({"sh", "-c", "kill -TERM $$"}).code, 128 + 15);
    const Output missing = run({"no-such-program"});
    EXPECT_EQ(missing.code, 1);
    EXPECT_THAT(missing.err, HasSubstr("no-such-program"));
}

TEST_F(CommandsTest, RunLeavesTheGuestsModesInTheVolume) {
    const Output output =
        runtime({"--accel", "tcg", "-w", workdir, "-t", image("plain"), "--volume-override", R"({"/data":{"host":{}}})", "run", "--",
                 "/bin/sh", "-c", "cd /data && echo tool > tool && chmod 750 tool && mkdir folder && chmod 751 folder"});
    ASSERT_EQ(output.code, 0) << output.err;
    const fs::path volume = workdir / deployment().at("volumes").at(0).at("name").get<std::string>();
    EXPECT_EQ(text_of(volume / "tool"), "tool\n");
    EXPECT_EQ(fs::status(volume / "tool").permissions(), fs::perms(0750));
    EXPECT_EQ(fs::status(volume / "folder").permissions(), fs::perms(0751));
}

TEST_F(CommandsTest, TheVmHasTheCpuThatIsAskedFor) {
    const auto run = [this](const char* model) {
        return runtime({"--accel", "tcg", "--cpu", model, "--template", "off", "-t", image("plain"), "run", "--", "/bin/sh", "-c",
                        "grep '^model name' /proc/cpuinfo"});
    };
    EXPECT_THAT(run("Nehalem").out, HasSubstr("(Nehalem C"));
    const Output unknown = run("no-such-cpu");
    EXPECT_EQ(unknown.code, 1);
    EXPECT_THAT(unknown.err, MatchesRegex("error: QEMU knows no CPU model no-such-cpu; this lists those that it knows: /.* -cpu help\n"));
    EXPECT_EQ(runtime({"--accel", "tcg", "--cpu", "no-such-cpu", "test"}).err, unknown.err);
}

TEST_F(CommandsTest, TestBootsAVm) {
    const Output good = runtime({"--accel", "tcg", "--test-timeout", "60", "test"});
    EXPECT_EQ(good.code, 0) << good.err;
    EXPECT_EQ(good.out, "");
    const Output greedy = runtime({"--accel", "tcg", "--test-mem-gib", "100000", "test"});
    EXPECT_EQ(greedy.code, 1);
    EXPECT_THAT(greedy.err, HasSubstr("not enough memory"));
    for (const auto& entry : fs::directory_iterator(workdir))
        EXPECT_THAT(entry.path().filename().string(), StartsWith("program."));  // the fixture's
}

}  // namespace
}  // namespace system_test
