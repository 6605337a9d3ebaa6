// Folder cli: one main per program, and what the mains share.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace cli {

// Parses the command line and runs `body`. Returns the exit code: 0 after --help and --version, 2 for wrong usage (CLI::ParseError, also
// from `body`), 1 after another exception, whose text goes to stderr as "error: …", else what `body` returns.
int run(CLI::App& app, int argc, char** argv, const std::function<int()>& body);

// JSON in ASCII, for a terminal: control characters, and marks that turn the direction of text, are \u escapes. `indent` -1: on one line.
// Throws base::Error where a string is not UTF-8.
std::string terminal_json(const nlohmann::json& json, int indent = -1);

// Writes "KIND: TEXT" to stderr. What images, registries or files say is part of many a text, so nothing in it reaches the terminal raw.
void print_message(const char* kind, std::string_view text);

// What the chosen sub-command does; the exit code.
using Action = std::function<int()>;

// Adds --version, --completion, --man and the line with an example under --help.
void describe(CLI::App& app, const char* example);

}  // namespace cli
