// An exe script run by the debugger (docs/spec/cli.md, --script).
#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "dbg_fixture.h"

namespace system_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class DbgScriptTest : public DbgTest {
protected:
    DbgScriptTest() { task_package = image("configured"); }

    Output run_script(const std::string& script, const std::vector<std::string>& runtime_options = {}) {
        std::ofstream(workdir / "script.json") << script;
        Output output = run_program(dbg({"--script", "script.json"}, runtime_options));
        results.clear();
        std::istringstream lines(output.out);
        for (std::string line; std::getline(lines, line);)
            results.push_back(nlohmann::json::parse(line));
        return output;
    }
    std::vector<std::string> verdicts() const {
        std::vector<std::string> texts;
        texts.reserve(results.size());
        for (const auto& result : results)
            texts.push_back(result["result"]);
        return texts;
    }

    std::vector<nlohmann::json> results;
};

TEST_F(DbgScriptTest, ABatchAsTheSdksSendIt) {
    std::ofstream(workdir / "in") << "from the host\n";
    const std::string file = "file://" + workdir.string();
    const Output output = run_script(R"([
        {"deploy": {"hostname": "box", "hosts": {"other": "192.168.5.3"}, "progress": {},
                    "net": [{"id": "n", "ip": "192.168.5.0", "mask": "255.255.255.0", "nodeIp": "192.168.5.2"}]}},
        {"start": {"args": ["start-entrypoint"]}},
        {"run": {"entry_point": "/bin/sh", "args": ["-c", "hostname; cat /etc/hosts; ip -o addr; echo $0"],
                 "capture": {"stdout": {"stream": {"limit": 4096, "format": "string"}}}}},
        {"transfer": {"from": ")" + file +
                                     R"(/in", "to": "container:/golem/output/made/in"}},
        {"run": {"entry_point": "/bin/sh", "args": ["-c", "cat /golem/output/made/in; echo from the guest > /golem/output/out; printf '\\377' >&2"],
                 "capture": {"stdout": {"atEnd": {"head": 4}}, "stderr": {"atEnd": {"format": "bin"}}}}},
        {"transfer": {"from": "container:/golem/output/out", "to": ")" +
                                     file + R"(/out"}},
        {"sign": {}},
        {"terminate": {}}])");
    EXPECT_EQ(output.code, 0) << output.out << output.err;
    EXPECT_THAT(verdicts(), testing::AllOf(testing::SizeIs(8), testing::Each("Ok")));
    EXPECT_THAT(results[0]["stdout"].get<std::string>(), HasSubstr("\"vols\""));
    EXPECT_THAT(results[1]["stdout"].get<std::string>(), HasSubstr("\"entrypoint\""));
    EXPECT_THAT(results[2]["stdout"].get<std::string>(),
                testing::AllOf(HasSubstr("box\n"), HasSubstr("192.168.5.3\tother"), HasSubstr("192.168.5.2/24"), HasSubstr("\nsh\n")));
    EXPECT_TRUE(results[2]["stderr"].is_null());
    EXPECT_EQ(results[4]["stdout"], "from");
    EXPECT_EQ(results[4]["stderr"], nlohmann::json::array({255}));
    EXPECT_EQ(text_of(workdir / "out"), "from the guest\n");
    EXPECT_EQ(results[7]["isBatchFinished"], true);
    EXPECT_EQ(results[6]["isBatchFinished"], false);
    EXPECT_THAT(output.err, testing::AllOf(HasSubstr("\"progress\" means nothing here"), HasSubstr("nobody else is on its network"),
                                           HasSubstr("nothing is signed")));
    EXPECT_TRUE(fs::is_empty(workdir / "tmp"));
}

TEST_F(DbgScriptTest, StopsAtTheFirstFailure) {
    const Output output =
        run_script(R"([{"run": {"entry_point": "/bin/true"}}, {"run": {"entry_point": "/bin/sh", "args": ["-c", "exit 7"]}},
                                         {"run": {"entry_point": "/bin/true"}}])");
    EXPECT_EQ(output.code, 7);
    EXPECT_THAT(verdicts(), ElementsAre("Ok", "Error"));
    EXPECT_EQ(results[1]["message"], "ExeScript command exited with code 7");
    EXPECT_EQ(results[1]["isBatchFinished"], true);
}

TEST_F(DbgScriptTest, ASecondDeployAfterTerminate) {
    const Output output = run_script(R"([{"deploy": {"volumes": {"/more": {"host": {}}}}}, {"start": {}},
        {"run": {"entry_point": "/bin/touch", "args": ["/more/file"]}}, {"terminate": {}}, {"deploy": {}}, {"start": {}},
        {"run": {"entry_point": "/bin/ls", "args": ["/more"], "capture": {"stderr": {"atEnd": {}}}}}])");
    EXPECT_EQ(output.code, 1) << output.err;
    EXPECT_THAT(verdicts(), ElementsAre("Ok", "Ok", "Ok", "Ok", "Ok", "Ok", "Error"));
    EXPECT_THAT(results[6]["stderr"].get<std::string>(), HasSubstr("No such file"));
}

TEST_F(DbgScriptTest, FailuresSayWhy) {
    EXPECT_EQ(run_script(R"([{"deploy": {}}, {"run": {"entry_point": "/bin/true"}}])").code, 1);
    EXPECT_THAT(results.at(1)["message"].get<std::string>(), HasSubstr("a run comes after a start"));
    EXPECT_EQ(run_script(R"([{"transfer": {"from": "gftp://0xab/cd", "to": "container:/golem/output/x"}}])").code, 1);
    EXPECT_THAT(results.at(0)["message"].get<std::string>(), HasSubstr("gftp: is served by a requestor's yagna"));
    EXPECT_EQ(run_script(R"([{"transfer": {"from": "file:/dev/zero", "to": "container:/golem/output/x"}}])", {"--storage-gib", "0.1"}).code,
              1);
    EXPECT_THAT(results.at(0)["message"].get<std::string>(), HasSubstr("which is all that the VM's disks may hold"));
    EXPECT_EQ(run_script(R"([{"transfer": {"from": "file:/etc/hostname", "to": "container:/elsewhere/x"}}])").code, 1);
    EXPECT_THAT(results.at(0)["message"].get<std::string>(), HasSubstr("there are \"/data\", \"/golem/output\""));
    const Output no_program = run_script(R"([{"run": {"entry_point": "/no/such"}}])");
    EXPECT_EQ(no_program.code, 1);
    EXPECT_THAT(results.at(0)["message"].get<std::string>(), HasSubstr("/no/such: No such file or directory"));
    const Output unknown = run_script(R"([{"sign": {}}, {"stop": {}}])");
    EXPECT_EQ(unknown.code, 1);
    EXPECT_EQ(unknown.out, "");  // nothing ran
    EXPECT_THAT(unknown.err, HasSubstr("error: script.json: command 1: \"stop\" is none of"));
}

}  // namespace
}  // namespace system_test
