#include "base/json.h"

#include "base/error.h"

namespace base {

nlohmann::json parse_json(std::string_view text) {
    constexpr int kMaxDepth = 100;
    const auto check_depth = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
        if (depth > kMaxDepth) throw Error("not JSON: nested too deep");
        return true;
    };
    try {
        return nlohmann::json::parse(text, check_depth);
    } catch (const nlohmann::json::exception& e) {
        // The library's text starts with "[json.exception.parse_error.101] ", which tells a user nothing.
        const std::string_view what = e.what();
        const size_t start = what.find("] ");
        throw Error("not JSON: " + std::string(start == std::string_view::npos ? what : what.substr(start + 2)));
    }
}

std::string to_text(const nlohmann::json& json) {
    try {
        return json.dump();
    } catch (const nlohmann::json::exception&) {
        throw Error("a text that is not UTF-8");
    }
}

}  // namespace base
