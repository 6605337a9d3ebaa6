#include "cli/completion.h"

#include <algorithm>

namespace cli {

std::vector<const DeclaredCommand*> all_commands(const DeclaredCommand& command) {
    std::vector<const DeclaredCommand*> result{&command};
    for (const DeclaredCommand& sub : command.commands) {
        const std::vector<const DeclaredCommand*> below = all_commands(sub);
        result.insert(result.end(), below.begin(), below.end());
    }
    return result;
}

std::vector<DeclaredOption> usable_options(const DeclaredCommand& command) {
    std::vector<DeclaredOption> result = command.options;
    result.insert(result.end(), command.inherited.begin(), command.inherited.end());
    return result;
}

std::string path_below(const DeclaredCommand& program, const DeclaredCommand& command) {
    return command.path.substr(std::min(program.path.size() + 1, command.path.size()));
}

std::string join(const std::vector<std::string>& words, const std::string& separator) {
    std::string text;
    for (const std::string& word : words) {
        if (&word != &words.front()) text += separator;
        text += word;
    }
    return text;
}

std::string function_name(const std::string& path) {
    std::string name = "_" + path;
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == '-' || c == ' '; }, '_');
    return name;
}

std::string single_quoted(const std::string& text, const std::string& escapes) {
    std::string result = "'";
    for (const char c : text) {
        if (escapes.find(c) != std::string::npos) result += '\\';
        if (c == '\'' && escapes.empty()) result += "'\\'";
        result += c == '\n' ? ' ' : c;
    }
    return result + "'";
}

}  // namespace cli
