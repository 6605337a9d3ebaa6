#include "cli/completion.h"

namespace cli {
namespace {

// Finds the command that is being typed, the option whose value is awaited, and how many arguments there were. bash takes = and : for words
// of their own, so what follows one belongs to the word before it.
constexpr const char* kBashWords = R"(
  for ((i = 1; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ $word =~ ^[=:]+$ ]]; then
      if [[ $last == argument ]]; then
        ((place--))
      elif [[ -z $option ]]; then
        option=$last
      fi
      last='' word=''
    elif ((i == COMP_CWORD)); then
      break
    elif [[ $option ]]; then
      last=$option option=''
    elif [[ $word == -- ]]; then
      return
    elif [[ $word == -* ]]; then
      last=''
      if [[ " $valued " == *" $word "* ]]; then option=$word; fi
    elif [[ " $commands " == *" $word "* ]]; then
      path="${path:+$path }$word" place=0 last=''
      FUNCTION_of "$path"
    else
      ((place++))
      last=argument
    fi
  done
)";

// Files are readline's own business, which knows how to quote them.
constexpr const char* kBashReply = R"(
  if [[ -z $option && $word == -* && ( -z $prefix || $place == 0 ) ]]; then
    offered=$options
  elif [[ -z $option && $place == 0 ]]; then
    offered+=" $commands"
  fi
  for i in $offered; do
    if [[ $i == "$word"* ]]; then COMPREPLY+=("$i"); fi
  done
)";

std::string replaced(std::string text, const std::string& what, const std::string& by) {
    for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
        text.replace(at, what.size(), by);
    return text;
}

// What is done for a value; empty: nothing.
std::string bash_offers(const Offers& offers, const DeclaredCommand& program) {
    std::vector<std::string> done;
    if (!offers.words.empty()) done.push_back("offered=" + single_quoted(join(offers.words, " ")));
    if (offers.vms) done.push_back("offered=$(" + program.name + " ps --quiet 2> /dev/null)");
    if (offers.files) done.emplace_back("compopt -o default");
    if (offers.folders) done.emplace_back("compopt -o dirnames");
    return join(done, "; ");
}

// The lines of one command in the case for values.
std::string bash_values(const DeclaredCommand& command, const std::string& path, const DeclaredCommand& program) {
    std::string text;
    const auto add = [&](const std::string& patterns, const Offers& offers) {
        const std::string done = bash_offers(offers, program);
        if (!done.empty()) text += "    " + patterns + ") " + done + " ;;\n";
    };
    for (const DeclaredOption& option : usable_options(command)) {
        std::vector<std::string> patterns;
        patterns.reserve(option.names.size());
        const std::string prefix = path + ":";
        for (const std::string& name : option.names)
            patterns.push_back(single_quoted(prefix + name));
        add(join(patterns, " | "), option.offers);
    }
    for (size_t i = 0; i < command.arguments.size(); i++) {
        const DeclaredOption& argument = command.arguments[i];
        add(argument.repeated ? single_quoted(path + ":") + "[0-9]*" : single_quoted(path + ":" + std::to_string(i)), argument.offers);
    }
    return text;
}

}  // namespace

std::string bash_completion(const DeclaredCommand& program) {
    const std::string function = function_name(program.path);
    std::string commands;
    std::string values;
    for (const DeclaredCommand* command : all_commands(program)) {
        const std::string path = path_below(program, *command);
        std::vector<std::string> options;
        std::vector<std::string> valued;
        std::vector<std::string> subs;
        for (const DeclaredOption& option : usable_options(*command)) {
            options.insert(options.end(), option.names.begin(), option.names.end());
            if (!option.value.empty()) valued.insert(valued.end(), option.names.begin(), option.names.end());
        }
        subs.reserve(command->commands.size());
        for (const DeclaredCommand& sub : command->commands)
            subs.push_back(sub.name);
        commands += "    " + single_quoted(path) + ")\n      options=" + single_quoted(join(options, " ")) +
                    "\n      valued=" + single_quoted(join(valued, " ")) + "\n      commands=" + single_quoted(join(subs, " ")) +
                    " prefix=" + (command->runs_program ? "yes" : "''") + " ;;\n";
        values += bash_values(*command, path, program);
    }
    return "# bash completion of " + program.name + ", made by " + program.name + " --completion bash\n# shellcheck shell=bash\n\n" +
           function + "_of() {\n  case $1 in\n" + commands + "  esac\n}\n\n" + function +
           "() {\n"
           "  local IFS=$' \\t\\n' word='' option='' last='' path='' place=0 i\n"
           "  local options='' valued='' commands='' prefix='' offered=''\n"
           "  COMPREPLY=()\n  " +
           function + "_of ''" + replaced(kBashWords, "FUNCTION", function) + "  case $path:${option:-$place} in\n" + values + "  esac" +
           kBashReply + "}\n\ncomplete -F " + function + " " + program.name + "\n";
}

}  // namespace cli
