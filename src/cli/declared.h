// What a program's command line takes: read from its CLI11 declarations, which are the only source of --help, --completion and --man.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace cli {

// What a shell offers for a value. The declared name of a value tells it: FILE, IMAGE and MANIFEST are files, DIR is a folder, VM the name
// of a running VM, and what is in lower case is meant literally ("all|MANIFEST").
struct Offers {
    std::vector<std::string> words;
    bool files = false;
    bool folders = false;
    bool vms = false;
};

// An option, or an argument without a name before it.
struct DeclaredOption {
    std::vector<std::string> names;  // with their dashes, the short ones first; an argument's only name
    std::string description;
    std::string value;                  // what the value is called; empty: it takes none
    std::string range;                  // of a number, "1 to 64"; empty: any
    std::string preset;                 // the value without the option; empty: nothing is said of it
    std::string variable;               // of the environment, which counts where the option is not given; may be empty
    std::string group;                  // the heading in --help
    std::vector<std::string> needs;     // options that must be given with it, sorted
    std::vector<std::string> excludes;  // options that must not be given with it, sorted
    bool required = false;
    bool repeated = false;  // may be given several times, or takes several values
    Offers offers;
};

// The program, or a sub-command.
struct DeclaredCommand {
    std::string path;  // the program's name, and the sub-commands that lead here, with blanks between
    std::string name;  // the last word of it
    std::string description;
    std::string footer;
    std::vector<DeclaredOption> options;
    std::vector<DeclaredOption> inherited;  // options of the commands above that may also follow this one
    std::vector<DeclaredOption> arguments;  // in their order
    std::vector<DeclaredCommand> commands;
    bool needs_command = false;
    bool runs_program = false;  // what follows its arguments is the command line of another program
};

// All that --help shows, also of the sub-commands. `program`: its name. The same declarations give equal results.
DeclaredCommand declared(const CLI::App& app, const std::string& program);

}  // namespace cli
