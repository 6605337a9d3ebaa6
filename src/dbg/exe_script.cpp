#include "dbg/exe_script.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include <spdlog/fmt/chrono.h>

#include "base/error.h"
#include "base/json.h"
#include "base/untrusted_text.h"

namespace dbg {
namespace {

using nlohmann::json;
using Kind = ScriptCommand::Kind;

std::string as_text(const json& value, const char* what) {
    if (!value.is_string()) throw base::Error(std::string(what) + " is not a text");
    return value.get<std::string>();
}

std::string text_or_empty(const json& object, const char* key) {
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? std::string() : as_text(*found, key);
}

std::string required_text(const json& object, const char* key) {
    if (!object.contains(key)) throw base::Error(std::string("\"") + key + "\" is missing");
    return as_text(object[key], key);
}

std::vector<std::string> texts(const json& object, const char* key) {
    std::vector<std::string> result;
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) return result;
    if (!found->is_array()) throw base::Error(std::string(key) + " is not an array");
    for (const json& value : *found)
        result.push_back(as_text(value, key));
    return result;
}

size_t number(const json& value, const char* what) {
    if (!value.is_number_unsigned()) throw base::Error(std::string(what) + " is not a number of bytes");
    return static_cast<size_t>(std::min<uint64_t>(value.get<uint64_t>(), kMaxCaptured));
}

bool is_binary(const json& mode) {
    const std::string format = text_or_empty(mode, "format");
    if (format == "bin" || format == "binary") return true;
    if (format.empty() || format == "str" || format == "string") return false;
    throw base::Error("format " + base::quote(format) + " is neither str nor bin");
}

Capture parse_at_end(const json& mode) {
    Capture capture{.binary = is_binary(mode)};
    if (mode.contains("head")) {
        capture.head = number(mode["head"], "head");
    } else if (mode.contains("tail")) {
        capture.tail = number(mode["tail"], "tail");
    } else if (mode.contains("headTail")) {
        const size_t both = number(mode["headTail"], "headTail");
        capture.tail = both / 2;
        capture.head = both - capture.tail;
    } else {
        capture.head = kMaxCaptured;
    }
    return capture;
}

// Without a capture nothing is kept.
Capture parse_capture(const json& run, const char* stream) {
    const auto captures = run.find("capture");
    if (captures == run.end() || captures->is_null()) return {};
    if (!captures->is_object()) throw base::Error("capture is not an object");
    const auto found = captures->find(stream);
    if (found == captures->end() || found->is_null()) return {};
    const bool one = found->is_object() && found->size() == 1 && found->begin()->is_object();
    if (one && found->contains("atEnd")) return parse_at_end((*found)["atEnd"]);
    if (!one || !found->contains("stream")) throw base::Error(std::string("the capture of ") + stream + " is neither atEnd nor stream");
    const json& mode = (*found)["stream"];
    const auto limit = mode.find("limit");
    const bool limited = limit != mode.end() && !limit->is_null();
    return {.binary = is_binary(mode), .head = limited ? number(*limit, "limit") : kMaxCaptured};
}

void parse_networks(const json& networks, ScriptCommand& command) {
    if (!networks.is_array()) throw base::Error("net is not an array");
    for (const json& network : networks) {
        if (!network.is_object()) throw base::Error("a network is not an object");
        std::string mask = text_or_empty(network, "mask");
        command.networks.push_back({.ip = required_text(network, "ip"),
                                    .mask = mask.empty() ? "255.255.255.0" : std::move(mask),
                                    .gateway = text_or_empty(network, "gateway"),
                                    .node_ip = required_text(network, "nodeIp")});
    }
}

// A list of paths asks for volumes that the host shares.
std::string as_override(const json& volumes) {
    if (volumes.is_object()) return base::to_text(volumes);
    if (!volumes.is_array()) throw base::Error("volumes is neither an object nor an array");
    json result = json::object();
    for (const json& path : volumes)
        result[as_text(path, "a volume")] = {{"host", json::object()}};
    return base::to_text(result);
}

void parse_deploy(const json& arguments, ScriptCommand& command) {
    for (const auto& [key, value] : arguments.items()) {
        if (value.is_null()) continue;
        if (key == "net") {
            parse_networks(value, command);
        } else if (key == "hosts") {
            if (!value.is_object()) throw base::Error("hosts is not an object");
            for (const auto& [name, address] : value.items())
                command.hosts[name] = as_text(address, "the address of a host");
        } else if (key == "hostname") {
            command.hostname = as_text(value, "hostname");
        } else if (key == "volumes") {
            command.volume_override = as_override(value);
        } else {
            command.ignored.push_back(key);
        }
    }
}

void parse_transfer(const json& arguments, ScriptCommand& command) {
    command.from = required_text(arguments, "from");
    command.to = required_text(arguments, "to");
    for (const char* key : {"format", "depth", "fileset"}) {
        if (arguments.contains(key) && !arguments[key].is_null())
            throw base::Error(std::string(key) + ": only single files are transferred here");
    }
}

ScriptCommand parse_command(const json& entry) {
    if (!entry.is_object() || entry.size() != 1) throw base::Error("is not an object with one command");
    const std::string name = entry.begin().key();
    json arguments = *entry.begin();
    if (arguments.is_null()) arguments = json::object();
    if (!arguments.is_object()) throw base::Error(base::quote(name) + " has no object of arguments");
    ScriptCommand command;
    if (name == "deploy") {
        command.kind = Kind::deploy;
        parse_deploy(arguments, command);
    } else if (name == "start") {
        command.kind = Kind::start;
        command.args = texts(arguments, "args");
    } else if (name == "run") {
        command.kind = Kind::run;
        command.entry_point = required_text(arguments, "entry_point");
        command.args = texts(arguments, "args");
        command.out = parse_capture(arguments, "stdout");
        command.err = parse_capture(arguments, "stderr");
    } else if (name == "transfer") {
        command.kind = Kind::transfer;
        parse_transfer(arguments, command);
    } else if (name == "terminate") {
        command.kind = Kind::terminate;
    } else if (name != "sign") {
        throw base::Error(base::quote(name) + " is none of deploy, start, run, transfer, sign and terminate");
    }
    return command;
}

// Byte by byte, each as the character of its number, as yagna shows it.
std::string as_latin1(const std::string& bytes) {
    constexpr int kShift = 6;
    std::string text;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x80) {
            text += c;
        } else {
            text += static_cast<char>(0xc0 | (byte >> kShift));
            text += static_cast<char>(0x80 | (byte & 0x3f));
        }
    }
    return text;
}

bool is_utf8(const std::string& text) {
    try {
        (void)json(text).dump();
        return true;
    } catch (const json::exception&) {
        return false;
    }
}

std::string now_as_text() {
    const auto now = std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
    const auto second = std::chrono::time_point_cast<std::chrono::seconds>(now);
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(second)), (now - second).count());
}

}  // namespace

std::vector<ScriptCommand> parse_exe_script(std::string_view text) {
    if (text.size() > kMaxScript) throw base::Error("more than 4 MiB");
    json script = base::parse_json(text);
    if (script.is_object() && script.contains("text")) script = base::parse_json(as_text(script["text"], "text"));
    if (!script.is_array()) throw base::Error("is not an array of commands");
    if (script.size() > kMaxCommands) throw base::Error("more than " + std::to_string(kMaxCommands) + " commands");
    std::vector<ScriptCommand> commands;
    for (const json& entry : script)
        commands.push_back(base::with_context("command " + std::to_string(commands.size()), [&entry] { return parse_command(entry); }));
    return commands;
}

void CapturedOutput::write(std::string_view bytes) {
    const std::string_view first = bytes.substr(0, capture_.head - head_.size());
    head_ += first;
    bytes.remove_prefix(first.size());
    if (capture_.tail == 0 || bytes.empty()) return;
    tail_ += bytes;
    // In steps, so that the cost stays with the bytes.
    if (tail_.size() > 2 * capture_.tail) tail_.erase(0, tail_.size() - capture_.tail);
}

nlohmann::ordered_json CapturedOutput::json() const {
    const std::string all = head_ + (tail_.size() > capture_.tail ? tail_.substr(tail_.size() - capture_.tail) : tail_);
    if (all.empty()) return nullptr;
    if (!capture_.binary) return is_utf8(all) ? all : as_latin1(all);
    nlohmann::ordered_json bytes = nlohmann::ordered_json::array();
    for (const char c : all)
        bytes.push_back(static_cast<unsigned char>(c));
    return bytes;
}

std::string result_line(const ScriptResult& result) {
    nlohmann::ordered_json line;
    line["index"] = result.index;
    line["result"] = result.ok ? "Ok" : "Error";
    line["stdout"] = result.out.json();
    line["stderr"] = result.err.json();
    line["message"] = nullptr;
    if (!result.message.empty()) line["message"] = result.message;
    line["isBatchFinished"] = result.last;
    line["eventDate"] = now_as_text();
    return line.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace dbg
