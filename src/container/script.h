#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace container {

// The first line of a script: "#! INTERPRETER ARGUMENT".
struct ScriptLine {
    std::string interpreter;
    std::string argument;  // all that follows, as one argument; empty: none
};

// Reads the start of a file as Linux does (fs/binfmt_script.c): of the first 256 bytes, blanks are spaces and tabs alone, so that a
// carriage return belongs to the name before it. None: no script, or one that Linux refuses (no interpreter, or its name is not complete).
std::optional<ScriptLine> parse_script_line(std::string_view start);

// The program that `env` starts when a script line gives it this argument; empty where it starts none. Without -S the argument is one word,
// blanks included.
std::string program_of_env(std::string_view argument);

}  // namespace container
