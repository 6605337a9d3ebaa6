#include <algorithm>

#include "cli/completion.h"

namespace cli {
namespace {

std::string escaped(const std::string& text, const std::string& characters) {
    std::string result;
    for (const char c : text) {
        if (c == '\\' || characters.find(c) != std::string::npos) result += '\\';
        result += c;
    }
    return result;
}

// What _arguments calls an action. Nothing is "()": the action " " shows a message, and for that _message takes back what else was found.
std::string zsh_action(const Offers& offers, const DeclaredCommand& program) {
    std::string words = "(";
    words += join(offers.words, " ");
    words += ')';
    const std::string files = offers.folders ? "_files -/" : "_files";
    std::string vms = function_name(program.path) + "_vms";
    if (offers.vms) return offers.files ? std::string("{_alternative \"vms\\:VM\\:") + vms + "\" \"files\\:file\\:_files\"}" : vms;
    if (!offers.files && !offers.folders) return words;
    return offers.words.empty() ? files : "{_alternative \"words\\:value\\:" + words + "\" \"files\\:file\\:" + files + "\"}";
}

// ":MESSAGE:ACTION", of which the message is what the value is called.
std::string zsh_value(const std::string& name, const Offers& offers, const DeclaredCommand& program) {
    return ":" + escaped(name, ":") + ":" + zsh_action(offers, program);
}

std::string zsh_options(const std::vector<DeclaredOption>& options, const DeclaredCommand& program) {
    std::string text;
    for (const DeclaredOption& option : options) {
        for (const std::string& name : option.names) {
            std::string spec = option.repeated ? std::string("*") : std::string("(") + join(option.names, " ") + ")";
            spec += name;
            if (!option.value.empty()) spec += name.starts_with("--") ? "=" : "+";
            spec += '[';
            spec += escaped(option.description, "[]");
            spec += ']';
            if (!option.value.empty()) spec += zsh_value(option.value, option.offers, program);
            text += " \\\n    " + single_quoted(spec);
        }
    }
    return text;
}

std::string zsh_arguments(const DeclaredCommand& command, const DeclaredCommand& program) {
    std::string text;
    for (size_t i = 0; i < command.arguments.size(); i++) {
        const DeclaredOption& argument = command.arguments[i];
        const std::string place = argument.repeated ? "*" : std::to_string(i + 1) + (argument.required ? "" : ":");
        text += " \\\n    " + single_quoted(place + zsh_value(argument.names[0], argument.offers, program));
    }
    if (command.runs_program) text += " \\\n    '*:: :()'";
    return text;
}

// One function per command; the words that it sees begin with the command's name.
std::string zsh_function(const DeclaredCommand& command, const DeclaredCommand& program) {
    const std::string function = function_name(command.path);
    std::string text = function + "() {\n";
    if (&command == &program) text += "  ((${words[(ie)--]} < CURRENT)) && return 1\n";
    const std::string arguments = zsh_options(usable_options(command), program) + zsh_arguments(command, program);
    if (command.commands.empty()) {
        text += std::string("  _arguments -s -S") + (command.runs_program ? " -A '-*'" : "") + " :" + arguments + "\n}\n\n";
        return text;
    }
    std::string described;
    std::string cases;
    for (const DeclaredCommand& sub : command.commands) {
        described += "    " + single_quoted(sub.name + ":" + escaped(sub.description, "")) + "\n";
        cases += "        " + sub.name + ") " + function_name(sub.path) + " && result=0 ;;\n";
    }
    // "(-)": what follows the command is no option of ours, even where one has the same name.
    return text +
           "  local curcontext=$curcontext context state state_descr line result=1\n"
           "  typeset -A opt_args\n"
           "  local -a commands=(\n" +
           described + "  )\n  _arguments -C -s -S :" + arguments +
           " \\\n    '(-)1:command:->command' \\\n    '(-)*::argument:->argument' && result=0\n"
           "  case $state in\n"
           "    command) _describe -t commands command commands && result=0 ;;\n"
           "    argument)\n      case $line[1] in\n" +
           cases + "      esac ;;\n  esac\n  return result\n}\n\n";
}

}  // namespace

std::string zsh_completion(const DeclaredCommand& program) {
    const std::string function = function_name(program.path);
    std::string text =
        "#compdef " + program.name + "\n# zsh completion of " + program.name + ", made by " + program.name + " --completion zsh\n\n";
    bool vms = false;
    for (const DeclaredCommand* command : all_commands(program)) {
        text += zsh_function(*command, program);
        for (const std::vector<DeclaredOption>* values : {&command->options, &command->arguments})
            vms |= std::any_of(values->begin(), values->end(), [](const DeclaredOption& value) { return value.offers.vms; });
    }
    if (vms)
        text += function + "_vms() {\n  local -a names=(${(f)\"$(_call_program vms " + program.name +
                " ps --quiet)\"})\n  compadd -a names\n}\n\n";
    // An autoloaded file is itself a function, by the file's name; a sourced one is none.
    return text + "if [[ $funcstack[1] == _" + program.name + " ]]; then\n  " + function + " \"$@\"\nelse\n  compdef " + function + " " +
           program.name + "\nfi\n";
}

}  // namespace cli
