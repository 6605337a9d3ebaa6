#include "dbg/exe_script.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace dbg {
namespace {
using testing::ElementsAre;
using testing::HasSubstr;
using Kind = ScriptCommand::Kind;

std::string refusal(const std::string& script) {
    try {
        (void)parse_exe_script(script);
    } catch (const base::Error& e) {
        return e.what();
    }
    return "taken";
}

ScriptCommand one(const std::string& command) {
    return parse_exe_script("[" + command + "]").at(0);
}

std::string captured(const Capture& capture, const std::vector<std::string>& writes) {
    CapturedOutput output(capture);
    for (const std::string& bytes : writes)
        output.write(bytes);
    return output.json().dump();
}

TEST(ExeScript, AsTheSdksWriteIt) {
    const auto commands = parse_exe_script(R"([
        {"sign": {}},
        {"deploy": {"net": [{"id": "n", "ip": "192.168.0.0", "mask": "255.255.255.0", "nodeIp": "192.168.0.2", "gateway": null, "nodes": {}}],
                    "hosts": {"other": "192.168.0.3"}, "hostname": "mine", "progress": {}, "volumes": ["/data"]}},
        {"start": {"args": ["start-entrypoint"]}},
        {"run": {"entry_point": "/bin/sh", "args": ["-c", "true"],
                 "capture": {"stdout": {"stream": {"limit": 10, "format": "string"}}, "stderr": {"atEnd": {"headTail": 5, "format": "bin"}}}}},
        {"transfer": {"from": "http://h/a", "to": "container:/data/a"}},
        {"terminate": {}}])");
    ASSERT_EQ(commands.size(), 6u);
    EXPECT_EQ(commands[1].networks.at(0).node_ip, "192.168.0.2");
    EXPECT_EQ(commands[1].hosts.at("other"), "192.168.0.3");
    EXPECT_EQ(commands[1].hostname, "mine");
    EXPECT_EQ(commands[1].volume_override, R"({"/data":{"host":{}}})");
    EXPECT_THAT(commands[1].ignored, ElementsAre("progress"));
    EXPECT_THAT(commands[2].args, ElementsAre("start-entrypoint"));
    EXPECT_EQ(commands[3].entry_point, "/bin/sh");
    EXPECT_EQ(commands[3].out.head, 10u);
    EXPECT_FALSE(commands[3].out.binary);
    EXPECT_EQ(commands[3].err.head, 3u);
    EXPECT_EQ(commands[3].err.tail, 2u);
    EXPECT_TRUE(commands[3].err.binary);
    EXPECT_EQ(commands[4].to, "container:/data/a");
    EXPECT_EQ(commands[5].kind, Kind::terminate);
}

TEST(ExeScript, DefaultsAndARequestsText) {
    EXPECT_EQ(parse_exe_script(R"({"text": "[{\"start\":{}}]"})").at(0).kind, Kind::start);
    const ScriptCommand run = one(R"({"run": {"entry_point": "/bin/ls"}})");
    EXPECT_EQ(run.out.head + run.out.tail, 0u);  // nothing is kept
    EXPECT_EQ(one(R"({"run": {"entry_point": "x", "capture": {"stdout": {"stream": {}}}}})").out.head, kMaxCaptured);
    EXPECT_EQ(one(R"({"run": {"entry_point": "x", "capture": {"stdout": {"atEnd": {"head": 99999999999}}}}})").out.head, kMaxCaptured);
}

TEST(ExeScript, MistakesAreNamed) {
    EXPECT_THAT(refusal("{}"), HasSubstr("not an array"));
    EXPECT_THAT(refusal("[{\"sign\":{}}, {\"stop\":{}}]"), HasSubstr("command 1: \"stop\" is none of"));
    EXPECT_THAT(refusal(R"([{"run":{}}])"), HasSubstr("\"entry_point\" is missing"));
    EXPECT_THAT(refusal(R"([{"run":{"entry_point":"x","args":"y"}}])"), HasSubstr("args is not an array"));
    EXPECT_THAT(refusal(R"([{"run":{"entry_point":"x","capture":{"stdout":{"never":{}}}}}])"), HasSubstr("neither atEnd nor stream"));
    EXPECT_THAT(refusal(R"([{"run":{"entry_point":"x","capture":{"stdout":{"stream":{"limit":-1}}}}}])"),
                HasSubstr("not a number of bytes"));
    EXPECT_THAT(refusal(R"([{"transfer":{"from":"file:/a","to":"container:/b","format":"tar"}}])"), HasSubstr("only single files"));
    EXPECT_THAT(refusal(R"([{"a":{},"b":{}}])"), HasSubstr("one command"));
    EXPECT_THAT(refusal(R"([{"\u001b[2J":{}}])"), HasSubstr("\\x1b"));
    EXPECT_THAT(refusal(std::string(kMaxScript + 1, ' ')), HasSubstr("4 MiB"));
    std::string many = "[";
    for (size_t i = 0; i <= kMaxCommands; i++)
        many += "{\"sign\":{}},";
    many.back() = ']';
    EXPECT_THAT(refusal(many), HasSubstr("commands"));
}

TEST(ExeScript, CapturesKeepWhatTheySay) {
    EXPECT_EQ(captured({.head = 5}, {"abc", "defg", "h"}), "\"abcde\"");
    EXPECT_EQ(captured({.tail = 3}, {"abc", "defg", "h"}), "\"fgh\"");
    EXPECT_EQ(captured({.head = 2, .tail = 2}, {"abc", "defg", "h"}), "\"abgh\"");
    EXPECT_EQ(captured({.head = 2, .tail = 2}, {"abc"}), "\"abc\"");
    EXPECT_EQ(captured({}, {"abc"}), "null");
    EXPECT_EQ(captured({.binary = true, .head = 9}, {std::string("\0\xff", 2)}), "[0,255]");
    EXPECT_EQ(captured({.head = 9}, {"a\xff"}), "\"a\xc3\xbf\"");
    EXPECT_EQ(captured({.tail = 4}, std::vector<std::string>(1000, "0123456789")), "\"6789\"");
}

TEST(ExeScript, ResultsAreOnePrintableLine) {
    CapturedOutput out({.head = 100});
    out.write("tab\t \x1b[2J \xe2\x80\xae\n");
    const CapturedOutput err({});
    const std::string line = result_line({.index = 3, .ok = false, .out = out, .err = err, .message = "why", .last = true});
    EXPECT_EQ(line.find_first_not_of(" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"),
              std::string::npos);
    const auto json = nlohmann::json::parse(line);
    EXPECT_EQ(json["index"], 3);
    EXPECT_EQ(json["result"], "Error");
    EXPECT_EQ(json["stdout"], "tab\t \x1b[2J \xe2\x80\xae\n");
    EXPECT_TRUE(json["stderr"].is_null());
    EXPECT_EQ(json["message"], "why");
    EXPECT_EQ(json["isBatchFinished"], true);
    EXPECT_THAT(json["eventDate"].get<std::string>(), testing::MatchesRegex("20..-..-..T..:..:..\\.......Z"));
}

}  // namespace
}  // namespace dbg
