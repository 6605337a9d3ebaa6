// The pipe itself: what answers what, and how a session ends (exe-unit.md, "start: the pipe").
#include <gmock/gmock.h>

#include <csignal>
#include <fstream>

#include "fixture.h"

namespace system_test {
namespace {

using testing::HasSubstr;

class ProtocolTest : public SystemTest {
protected:
    // The error that a request is answered with.
    static void expect_error(Runtime& vm, const api::Request& request, api::Error::Code code) {
        try {
            vm.wait(vm.client().request(request));
            ADD_FAILURE() << "accepted";
        } catch (const exeunit::RequestError& e) {
            EXPECT_EQ(e.code(), code) << e.what();
            EXPECT_STRNE(e.what(), "");
        }
    }

    std::string log() {
        std::string text = text_of(workdir / "stderr.txt");
        std::error_code ignored;
        for (const auto& file : fs::directory_iterator(workdir / "logs", ignored))
            text += text_of(file.path());
        return text;
    }
};

TEST_F(ProtocolTest, HelloIsAnsweredWithAVersion) {
    deploy();
    const auto vm = launch();
    EXPECT_THAT(vm->hello(), testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
    EXPECT_NE(vm->qemu_pid(), 0);
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProtocolTest, UnknownAndEmptyCommandsAreBadRequests) {
    deploy();
    const auto vm = start();
    expect_error(*vm, api::Request(), api::Error::BAD_REQUEST);
    api::Request unknown;
    ASSERT_TRUE(unknown.ParseFromString("\xca\x3e\x01x"));  // field 1001, a string
    expect_error(*vm, unknown, api::Error::BAD_REQUEST);
    EXPECT_EQ(vm->run({"echo", "alive"}).out, "alive\n");
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProtocolTest, NetworkRequestWithoutACardIsABadRequest) {
    deploy();
    const auto vm = start();
    api::Request request;
    auto* network = request.mutable_network()->add_networks();
    network->set_addr("192.168.8.0");
    network->set_mask("24");
    network->set_if_addr("192.168.8.7");
    expect_error(*vm, request, api::Error::BAD_REQUEST);
    EXPECT_EQ(vm->run({"echo", "alive"}).out, "alive\n");
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProtocolTest, BrokenFramesEndTheSession) {
    const std::vector<std::string> broken{
        std::string(20, '\xff'),                                // no length
        std::string("\xff\xff\xff\xff\x0f") + "and then some",  // 4 GiB
        std::string("\x03\xff\xff\xff", 4),                     // no message
    };
    deploy();
    for (const std::string& bytes : broken) {
        const auto vm = start();
        const auto sleeper = vm->begin({"sleep", "1000"});
        vm->client().send_raw(bytes);
        EXPECT_NE(vm->exit_code(30s), 128 + SIGKILL);
        EXPECT_TRUE(group_members(vm->pid()).empty());
        EXPECT_THAT(log(), HasSubstr("bad frame"));
        EXPECT_TRUE(vm->stray().empty());
        EXPECT_EQ(vm->closed(), "the runtime closed its output");
    }
}

TEST_F(ProtocolTest, EndOfInputInTheMiddleOfAFrameEndsTheSession) {
    deploy();
    const auto vm = start();
    vm->client().send_raw("\x20\x08");
    vm->client().close_input();
    (void)vm->exit_code(30s);
    EXPECT_TRUE(group_members(vm->pid()).empty());
}

TEST_F(ProtocolTest, EndOfInputIsAShutdown) {
    deploy();
    const auto vm = start();
    const auto sleeper = vm->begin({"/bin/sh", "-c", "trap 'echo terminated; exit 7' TERM; echo ready; while :; do sleep 0.1; done"});
    vm->until([&] { return sleeper->out == "ready\n"; });
    vm->client().close_input();
    EXPECT_EQ(vm->exit_code(30s), 0);
    EXPECT_TRUE(group_members(vm->pid()).empty());
    EXPECT_EQ(sleeper->out, "ready\nterminated\n");
    EXPECT_EQ(sleeper->code, 7);
}

TEST_F(ProtocolTest, ShutdownTakesLessThanFiveSecondsWhateverRuns) {
    deploy();
    const auto vm = start();
    const auto deaf = vm->begin({"/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"});
    vm->until([&] { return deaf->out == "ready\n"; });
    vm->sh("dd if=/dev/zero of=/root/unsynced bs=1M count=64 2> /dev/null");
    const auto before = std::chrono::steady_clock::now();
    vm->wait(vm->client().shutdown(), 30s);
    EXPECT_LT(std::chrono::steady_clock::now() - before, 5s);
    EXPECT_EQ(vm->qemu_pid(), 0);  // the VM ends before the answer
    EXPECT_EQ(vm->exit_code(), 0);
    EXPECT_EQ(vm->closed(), "the runtime closed its output");
    EXPECT_TRUE(vm->stray().empty());
}

TEST_F(ProtocolTest, RequestsInOneGoAreAllAnswered) {
    deploy();
    const auto vm = launch();
    std::vector<std::future<uint64_t>> pids;
    std::vector<int> codes;
    auto hello = boost::asio::co_spawn(vm->io(), vm->client().hello(), boost::asio::use_future);
    for (int i = 0; i < 50; i++) {
        api::RunProcess run;
        run.set_bin("/bin/true");
        run.add_args("true");
        const auto ended = [&codes](const api::ProcessStatus& s) {
            if (!s.running()) codes.push_back(s.return_code());
        };
        pids.push_back(boost::asio::co_spawn(vm->io(), vm->client().run(run, ended), boost::asio::use_future));
    }
    vm->until([&] { return codes.size() == 50; });
    EXPECT_THAT(codes, testing::Each(0));
    for (auto& pid : pids) {
        vm->until([&pid] { return pid.wait_for(0s) == std::future_status::ready; });
        EXPECT_NE(pid.get(), 0);
    }
    EXPECT_NE(hello.get(), "");
    EXPECT_EQ(vm->shutdown(), 0);
}

// The slowest of readers: nothing is read for a while, and requests are served all the same.
TEST_F(ProtocolTest, RequestsAreServedWhileThePipeIsFull) {
    deploy();
    const auto vm = start();
    const auto flood = vm->begin({"/bin/sh", "-c", "yes; true"});
    vm->until([&] { return flood->out.size() > 1 << 20; });
    vm->client().set_reading(false);
    vm->serve(500ms);
    api::Request touch;
    touch.mutable_run()->set_bin("/bin/touch");
    touch.mutable_run()->add_args("touch");
    touch.mutable_run()->add_args("/tmp/served");
    auto answer = boost::asio::co_spawn(vm->io(), vm->client().request(touch), boost::asio::use_future);
    vm->serve(500ms);
    EXPECT_LT(vm->pss_bytes(), 100u << 20);
    vm->client().set_reading(true);
    vm->until([&] { return answer.wait_for(0s) == std::future_status::ready; });
    EXPECT_NE(answer.get().run().pid(), 0);
    vm->kill(flood->pid);
    vm->finish(flood);
    EXPECT_EQ(vm->sh("ls /tmp/served").code, 0);
}

TEST_F(ProtocolTest, EntrypointSpeaksToItsFile) {
    task_package = image("configured");
    deploy();
    const auto vm = start({}, {"start-entrypoint"});
    vm->until([&] { return !vm->stray().empty(); });
    ASSERT_EQ(vm->stray().size(), 1);
    EXPECT_EQ(vm->stray()[0].pid(), 0);
    const auto output = nlohmann::json::parse(vm->stray()[0].stdout());
    EXPECT_TRUE(output["start"].is_null());
    EXPECT_EQ(output["entrypoint"]["command"][0], "sh");
    EXPECT_NE(output["entrypoint"]["pid"], 0);
    vm->until([&] {
        vm->serve(10ms);
        return log().find("started as entry with one two words") != std::string::npos;
    });
    EXPECT_EQ(vm->stray().size(), 1);
    vm->wait(vm->client().shutdown());
    EXPECT_EQ(vm->exit_code(), 0);
}

TEST_F(ProtocolTest, EntrypointOfAnImageWithoutOneIsAnError) {
    deploy();
    const auto vm = launch({}, {"start-entrypoint"});
    try {
        vm->hello();
        ADD_FAILURE() << "started";
    } catch (const exeunit::RequestError& e) {
        EXPECT_THAT(e.what(), HasSubstr("ntrypoint"));
    }
}

TEST_F(ProtocolTest, DeployShowsTheVolumes) {
    task_package = image("configured");
    const auto json = deploy();
    ASSERT_EQ(json["vols"].size(), 2);
    std::vector<std::string> paths;
    for (const auto& volume : json["vols"]) {
        EXPECT_THAT(volume["name"].get<std::string>(), testing::MatchesRegex(".*vol-[0-9a-f-]+"));
        EXPECT_TRUE(fs::is_directory(workdir / volume["name"].get<std::string>()));
        paths.push_back(volume["path"]);
    }
    EXPECT_THAT(paths, testing::UnorderedElementsAre("/data", "/golem/output"));
    const auto vm = start();
    EXPECT_EQ(vm->sh("ls /data; stat -c '%u %a' /data").out, "1000 750\n");
    EXPECT_EQ(vm->sh("echo from the VM > /golem/output/file").code, 0);
    for (const auto& volume : json["vols"]) {
        const std::string expected = volume["path"] == "/golem/output" ? "from the VM\n" : "";
        EXPECT_EQ(text_of(workdir / volume["name"].get<std::string>() / "file"), expected);
    }
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProtocolTest, DeployOfABadImageFailsWithTheReason) {
    task_package = workdir / "bad.gvmi";
    std::ofstream(task_package) << "this is not an image";
    const auto argv = {program("ya-runtime-vm").string(),
                       std::string("--workdir"),
                       workdir.string(),
                       std::string("--task-package"),
                       task_package.string(),
                       std::string("deploy"),
                       std::string("--")};
    const Output output = run_program(argv);
    EXPECT_NE(output.code, 0);
    EXPECT_EQ(output.out, "");
    EXPECT_THAT(output.err, HasSubstr("bad.gvmi"));
}

}  // namespace
}  // namespace system_test
