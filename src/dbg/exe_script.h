#pragma once

#include <cstddef>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace dbg {

// What of a process's output a requestor gets: its first bytes and its last ones.
struct Capture {
    bool binary = false;  // as an array of bytes instead of a text
    size_t head = 0;
    size_t tail = 0;
};
constexpr size_t kMaxCaptured = 4 << 20;  // of one stream, where the script asks for more or for all of it

struct ScriptNetwork {
    std::string ip;
    std::string mask;
    std::string gateway;  // may be empty
    std::string node_ip;
};

// One entry of an exe script, as requestors' SDKs send them to yagna; of each kind only its own members count.
struct ScriptCommand {
    enum class Kind { sign, deploy, start, run, transfer, terminate };
    Kind kind = Kind::sign;
    std::vector<std::string> args = {};  // start, run
    std::string entry_point = {};        // run
    Capture out = {};
    Capture err = {};
    std::string from = {};  // transfer
    std::string to = {};
    std::vector<ScriptNetwork> networks = {};  // deploy
    std::map<std::string, std::string> hosts = {};
    std::string hostname = {};
    std::string volume_override = {};       // JSON, as the runtime's option takes it
    std::vector<std::string> ignored = {};  // keys that mean nothing here
};

constexpr size_t kMaxScript = 4 << 20;  // bytes
constexpr size_t kMaxCommands = 10'000;

// Reads a JSON array of commands, also where it is the "text" of an object, as it is in a request to yagna. Throws base::Error that names
// the entry and what is wrong with it.
std::vector<ScriptCommand> parse_exe_script(std::string_view json);

// Bytes of one stream, as many as the capture keeps.
class CapturedOutput {
public:
    explicit CapturedOutput(const Capture& capture) : capture_(capture) {}

    void write(std::string_view bytes);

    // As in yagna's ExeScriptCommandResult: null where nothing was kept. What is not UTF-8 is shown byte by byte.
    nlohmann::ordered_json json() const;

private:
    Capture capture_;
    std::string head_;
    std::string tail_;
};

// One result as the SDKs show it, on one line without its end, in printable ASCII. An empty `message` is none.
struct ScriptResult {
    size_t index = 0;
    bool ok = true;
    const CapturedOutput& out;
    const CapturedOutput& err;
    std::string message = {};
    bool last = false;  // of the batch
};
std::string result_line(const ScriptResult& result);

}  // namespace dbg
