#include "container/script.h"

#include <algorithm>
#include <vector>

namespace container {
namespace {

constexpr std::string_view kBlanks = " \t";

// As `env -S` splits: quotes and backslashes are left to the rare script that has them in a program's name.
std::vector<std::string_view> split_words(std::string_view text) {
    std::vector<std::string_view> words;
    while (true) {
        const size_t start = text.find_first_not_of(" \t\r\v\f");
        if (start == std::string_view::npos) return words;
        const size_t end = std::min(text.find_first_of(" \t\r\v\f", start), text.size());
        words.push_back(text.substr(start, end - start));
        text.remove_prefix(end);
    }
}

// Whether an option's value is the next word.
bool takes_next_word(std::string_view option) {
    return option == "-u" || option == "--unset" || option == "-C" || option == "--chdir" || option == "-a" || option == "--argv0";
}

}  // namespace

std::optional<ScriptLine> parse_script_line(std::string_view start) {
    constexpr size_t kRead = 256;
    if (!start.starts_with("#!")) return std::nullopt;
    const bool cut = start.size() > kRead;
    start = start.substr(2, kRead - 2);
    const size_t line_end = start.find('\n');
    std::string_view line = start.substr(0, line_end);
    line = line.substr(0, line.find('\0'));
    line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
    const size_t name_end = line.find_first_of(kBlanks);
    if (line.empty() || (cut && line_end == std::string_view::npos && name_end == std::string_view::npos)) return std::nullopt;
    ScriptLine result{std::string(line.substr(0, name_end)), {}};
    if (name_end == std::string_view::npos) return result;
    line.remove_prefix(name_end);
    line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
    result.argument = line.substr(0, line.find_last_not_of(kBlanks) + 1);
    return result;
}

std::string program_of_env(std::string_view argument) {
    if (!argument.starts_with('-')) return argument.find('=') == std::string_view::npos ? std::string(argument) : std::string();
    constexpr std::string_view kLong = "--split-string";
    if (argument.starts_with("-S")) {
        argument.remove_prefix(2);
    } else if (argument.starts_with("-vS")) {
        argument.remove_prefix(3);
    } else if (argument.starts_with(kLong)) {
        argument.remove_prefix(std::min(kLong.size() + 1, argument.size()));
    } else {
        return {};
    }
    const std::vector<std::string_view> words = split_words(argument);
    for (size_t i = 0; i < words.size(); i++) {
        if (words[i] == "--" && i + 1 < words.size()) return std::string(words[i + 1]);
        if (takes_next_word(words[i])) {
            i++;
        } else if (!words[i].starts_with('-') && words[i].find('=') == std::string_view::npos) {
            return std::string(words[i]);
        }
    }
    return {};
}

}  // namespace container
