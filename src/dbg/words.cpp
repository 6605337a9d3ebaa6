#include "dbg/words.h"

#include <optional>
#include <utility>

#include "base/error.h"

namespace dbg {
namespace {

// Where a quote that begins at `at` ends; its content goes to `word`.
size_t take_quoted(std::string_view line, size_t at, std::string& word) {
    const char quote = line[at];
    for (size_t i = at + 1; i < line.size(); i++) {
        if (line[i] == quote) return i;
        const bool escape = quote == '"' && line[i] == '\\' && i + 1 < line.size();
        if (escape && std::string_view("$`\"\\").find(line[i + 1]) != std::string_view::npos) i++;
        word += line[i];
    }
    throw base::Error(std::string("a quote (") + quote + ") is not closed");
}

}  // namespace

std::vector<std::string> split_words(std::string_view line) {
    std::vector<std::string> words;
    std::optional<std::string> word;  // set as soon as it begins: '' is a word too
    for (size_t i = 0; i < line.size(); i++) {
        const char c = line[i];
        if (c == ' ' || c == '\t' || c == '\n') {
            if (word) words.push_back(*std::exchange(word, {}));
            continue;
        }
        if (!word) word.emplace();
        if (c == '\'' || c == '"') {
            i = take_quoted(line, i, *word);
        } else if (c == '\\' && i + 1 < line.size()) {
            *word += line[++i];
        } else {
            *word += c;
        }
    }
    if (word) words.push_back(*word);
    return words;
}

}  // namespace dbg
