#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace base {

// Parses JSON from a stranger, in time that grows with its length. Nothing may follow it, it has at most 250,000 values (20 MB of memory),
// and it nests at most 100 levels deep, since code that walks it recurses. Throws Error ("not JSON: …" with the place).
nlohmann::json parse_json(std::string_view text);

// JSON without blanks; the keys are sorted, so equal values give equal text. Throws Error where a string is not UTF-8.
std::string to_text(const nlohmann::json& json);

}  // namespace base
