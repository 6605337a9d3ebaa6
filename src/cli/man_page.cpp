#include "cli/man_page.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "cli/completion.h"

namespace cli {
namespace {

constexpr std::string_view kExample = "Example: ";

// Text as it is: what roff would take for a request or a typographic character is escaped.
std::string roff(const std::string& text) {
    static const std::map<char, const char*> kEscaped{{'\\', "\\e"},  {'-', "\\-"},   {'\'', "\\(aq"}, {'`', "\\(ga"},
                                                      {'"', "\\(dq"}, {'^', "\\(ha"}, {'~', "\\(ti"}};
    std::string result;
    for (const char c : text) {
        const auto escape = kEscaped.find(c);
        result += escape == kEscaped.end() ? std::string(1, c) : escape->second;
    }
    return result.starts_with('.') ? "\\&" + result : result;
}

std::string bold(const std::string& text) {
    return "\\fB" + roff(text) + "\\fR";
}

std::string italic(const std::string& text) {
    return "\\fI" + roff(text) + "\\fR";
}

std::string upper(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return text;
}

// "Looks at files." as what follows the name in a list of pages: "looks at files".
std::string summary(std::string text) {
    if (text.ends_with('.')) text.pop_back();
    const bool is_word = text.size() < 2 || std::isupper(static_cast<unsigned char>(text[1])) == 0;
    if (is_word && !text.empty()) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
    return text;
}

std::string sentence(std::string text) {
    if (!text.empty() && !text.ends_with('.')) text += '.';
    return text;
}

// In the order of a command line; `words`: how the command is called.
std::string synopsis(const DeclaredCommand& command) {
    std::string text = bold(command.path);
    if (!command.options.empty()) text += " [" + italic("OPTIONS") + "]";
    for (const DeclaredOption& argument : command.arguments) {
        const std::string name = italic(argument.names[0]) + (argument.repeated ? "..." : "");
        text += argument.required ? " " + name : " [" + name + "]";
    }
    if (command.runs_program) text += " " + italic("CMD") + "...";
    if (!command.commands.empty()) text += command.needs_command ? " " + italic("COMMAND") : " [" + italic("COMMAND") + "]";
    return text;
}

// What the declaration says beside the description.
std::string remarks(const DeclaredOption& option) {
    std::string text;
    if (!option.range.empty()) text += " From " + option.range + ".";
    if (!option.preset.empty()) text += " Default: " + option.preset + ".";
    if (!option.needs.empty()) text += " Only with " + join(option.needs, ", ") + ".";
    if (!option.excludes.empty()) text += " Not with " + join(option.excludes, ", ") + ".";
    if (!option.variable.empty()) text += " Variable: " + option.variable + ".";
    return text;
}

// A value of many words is too long for the head of a paragraph.
constexpr size_t kLongestValue = 40;

std::string entry(const DeclaredOption& option) {
    std::string head;
    for (const std::string& name : option.names)
        head += (head.empty() ? "" : ", ") + (name.starts_with('-') ? bold(name) : italic(name));
    std::string text = sentence(option.description);
    const bool is_option = option.names[0].starts_with('-');
    const bool is_long = option.value.size() > kLongestValue;
    if (is_option && !option.value.empty()) head += " " + italic(is_long ? "WORD" : option.value);
    if (is_long || (!is_option && !option.offers.words.empty())) text += " One of: " + join(option.offers.words, ", ") + ".";
    text += remarks(option);
    if (is_option && option.required) text += " Required.";
    if (text.starts_with(' ')) text.erase(0, 1);
    return ".TP\n" + head + "\n" + (text.empty() ? "\\&" : roff(text)) + "\n";
}

// The arguments and the options, these by their groups.
std::string entries(const DeclaredCommand& command, bool with_help) {
    std::string text;
    for (const DeclaredOption& argument : command.arguments) {
        if (!argument.description.empty() || !argument.offers.words.empty()) text += entry(argument);
    }
    std::string group = "Options";
    for (const DeclaredOption& option : command.options) {
        if (!with_help && option.names.back() == "--help") continue;
        if (option.group != group) text += ".SS " + roff(option.group) + "\n";
        group = option.group;
        text += entry(option);
    }
    return text;
}

// The lines of a footer: examples, or what else there is to say.
std::string footer_lines(const std::string& footer, bool examples) {
    std::string text;
    for (size_t start = 0; start < footer.size();) {
        const size_t end = std::min(footer.find('\n', start), footer.size());
        const std::string line = footer.substr(start, end - start);
        start = end + 1;
        if (line.empty() || line.starts_with(kExample) != examples) continue;
        text += examples ? ".PP\n.RS\n.nf\n" + roff(line.substr(kExample.size())) + "\n.fi\n.RE\n" : ".PP\n" + roff(line) + "\n";
    }
    return text;
}

// Everything of the sub-commands below `command`, each after its parent.
std::string sub_commands(const DeclaredCommand& command) {
    std::string text;
    for (const DeclaredCommand& sub : command.commands) {
        text += ".SS " + roff(sub.path) + "\n" + synopsis(sub) + "\n.PP\n" + roff(sentence(sub.description)) + "\n" + entries(sub, false) +
                footer_lines(sub.footer, false);
        const std::string examples = footer_lines(sub.footer, true);
        if (!examples.empty()) text += ".PP\nExample:\n" + examples;
        text += sub_commands(sub);
    }
    return text;
}

std::string environment(const DeclaredCommand& program) {
    std::string text;
    std::set<std::string> said;  // several commands may have the same option
    for (const DeclaredCommand* command : all_commands(program)) {
        for (const DeclaredOption& option : command->options) {
            if (!option.variable.empty() && said.insert(option.variable).second)
                text += ".TP\n" + bold(option.variable) + "\nCounts where " + bold(option.names.back()) + " is not given.\n";
        }
    }
    return text.empty() ? "" : ".SH ENVIRONMENT\n" + text;
}

constexpr const char* kExitStatus =
    ".SH EXIT STATUS\n"
    ".TP\n.B 0\nSuccess.\n"
    ".TP\n.B 1\nA failure, which one line on standard error names.\n"
    ".TP\n.B 2\nWrong usage.\n";

}  // namespace

std::string man_page(const DeclaredCommand& program, const std::string& version) {
    std::string text = ".TH " + roff(upper(program.name)) + " 1 \"\" \"gvmkit " + version + "\" \"User Commands\"\n.SH NAME\n" +
                       roff(program.name) + " \\- " + roff(summary(program.description)) + "\n.SH SYNOPSIS\n" + synopsis(program) +
                       "\n.SH DESCRIPTION\n" + roff(program.description) + "\n" + footer_lines(program.footer, false) + ".SH OPTIONS\n" +
                       entries(program, true);
    if (!program.commands.empty()) text += ".SH COMMANDS\n" + sub_commands(program);
    text += environment(program) + kExitStatus;
    const std::string examples = footer_lines(program.footer, true);
    return text + (examples.empty() ? "" : ".SH EXAMPLES\n" + examples);
}

}  // namespace cli
