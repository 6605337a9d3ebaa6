// Scripts by which shells complete a program's command line.
#pragma once

#include <string>

#include "cli/declared.h"

namespace cli {

// Each is complete: to be sourced, or to be put where the shell looks for completions. The same program gives the same bytes. After a word
// "--" nothing is offered. Names of VMs are those that the program's sub-command `ps --quiet` prints, one a line.
std::string bash_completion(const DeclaredCommand& program);
std::string zsh_completion(const DeclaredCommand& program);
std::string fish_completion(const DeclaredCommand& program);

// For the scripts: the command and all below it, each before its own sub-commands.
std::vector<const DeclaredCommand*> all_commands(const DeclaredCommand& command);

// The options that may follow the command: its own, and those that it inherits.
std::vector<DeclaredOption> usable_options(const DeclaredCommand& command);

// What leads from the program to the command: "manifest create"; for the program itself nothing.
std::string path_below(const DeclaredCommand& program, const DeclaredCommand& command);

std::string join(const std::vector<std::string>& words, const std::string& separator);

// "_gvmkit_build_user_add" for the path "gvmkit-build user add".
std::string function_name(const std::string& path);

// Text in single quotes. `escapes`: the characters that need a backslash within (fish), else as bash and zsh quote.
std::string single_quoted(const std::string& text, const std::string& escapes = "");

}  // namespace cli
