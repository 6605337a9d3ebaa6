#include "cli/completion.h"

namespace cli {
namespace {

constexpr const char* kEscapes = "'\\";

// One line of fish's: where it holds, and what it offers.
std::string fish_line(const std::string& program, const std::string& function, const std::string& place, const std::string& rest) {
    return "complete -c " + program + " -n " + single_quoted(function + "_at " + single_quoted(place), kEscapes) + rest + "\n";
}

// The options of `complete` that offer a value.
std::string fish_offers(const Offers& offers, const DeclaredCommand& program) {
    std::vector<std::string> offered = offers.words;
    if (offers.vms) offered.push_back("(" + program.name + " ps --quiet 2> /dev/null)");
    if (offers.folders) offered.push_back("(__fish_complete_directories (commandline -ct))");
    std::string text = offers.files ? " -F" : "";
    if (!offered.empty()) text += " -a " + single_quoted(join(offered, " "), kEscapes);
    return text;
}

std::string fish_option(const DeclaredOption& option, const DeclaredCommand& program) {
    std::string text;
    for (const std::string& name : option.names)
        text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    if (!option.value.empty()) text += (option.offers.files ? " -r" : " -x") + fish_offers(option.offers, program);
    return text + " -d " + single_quoted(option.description, kEscapes);
}

// Prints the command that is being typed and how many arguments it has so far, "manifest create:1"; after "--" "nowhere".
std::string place_function(const DeclaredCommand& program, const std::string& function) {
    std::vector<std::string> commands;
    std::vector<std::string> valued;
    for (const DeclaredCommand* command : all_commands(program)) {
        const std::string prefix = path_below(program, *command) + ":";
        for (const DeclaredCommand& sub : command->commands)
            commands.push_back(single_quoted(prefix + sub.name));
        for (const DeclaredOption& option : usable_options(*command)) {
            if (option.value.empty()) continue;
            for (const std::string& name : option.names)
                valued.push_back(single_quoted(prefix + name));
        }
    }
    std::string text = "function " + function +
                       "_place\n"
                       "    set -l path\n    set -l place 0\n    set -l value no\n"
                       "    for word in (commandline -opc)[2..]\n"
                       "        if test $value = yes\n            set value no\n            continue\n        end\n"
                       "        switch \"$path:$word\"\n"
                       "            case '*:--'\n                echo nowhere\n                return\n";
    if (!commands.empty())
        text += "            case " + join(commands, " ") + "\n                set -a path $word\n                set place 0\n";
    return text + "            case " + join(valued, " ") +
           "\n                set value yes\n"
           "            case '*:-*'\n"
           "            case '*'\n                set place (math $place + 1)\n"
           "        end\n    end\n    echo \"$path:$place\"\nend\n";
}

}  // namespace

std::string fish_completion(const DeclaredCommand& program) {
    const std::string function = function_name(program.path);
    std::string text = "# fish completion of " + program.name + ", made by " + program.name + " --completion fish\n\n" +
                       place_function(program, function) + "\nfunction " + function + "_at\n    string match -q -- $argv[1] (" + function +
                       "_place)\nend\n\ncomplete -c " + program.name + " -f\n";
    for (const DeclaredCommand* command : all_commands(program)) {
        const std::string path = path_below(program, *command);
        for (const DeclaredCommand& sub : command->commands)
            text += fish_line(program.name, function, path + ":0", " -a " + sub.name + " -d " + single_quoted(sub.description, kEscapes));
        for (size_t i = 0; i < command->arguments.size(); i++) {
            const DeclaredOption& argument = command->arguments[i];
            const std::string offers = fish_offers(argument.offers, program);
            if (!offers.empty())
                text += fish_line(program.name, function, path + ":" + (argument.repeated ? "*" : std::to_string(i)), offers);
        }
        for (const DeclaredOption& option : usable_options(*command))
            text += fish_line(program.name, function, path + (command->runs_program ? ":0" : ":*"), fish_option(option, program));
    }
    return text;
}

}  // namespace cli
