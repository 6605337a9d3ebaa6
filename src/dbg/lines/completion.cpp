#include "dbg/lines/completion.h"

#include <algorithm>
#include <cctype>
#include <tuple>

#include "base/untrusted_text.h"

namespace dbg {
namespace {

// Each name ends with a NUL, a folder's with a slash before. Only built-in commands of a shell.
constexpr const char* kScript =
    "n=0; for f in \"$1\"*; do "
    "n=$((n+1)); [ $n -gt 500 ] && break; "
    "if [ -d \"$f\" ]; then printf '%s/\\0' \"$f\"; "
    "elif [ -e \"$f\" ] || [ -L \"$f\" ]; then printf '%s\\0' \"$f\"; fi; "
    "done";

bool needs_no_quoting(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || static_cast<signed char>(c) < 0 ||
           std::string_view("_./,:@%+=-").find(c) != std::string_view::npos;
}

std::string quoted(std::string_view text, char quote) {
    std::string result;
    if (quote) result += quote;
    for (const char c : text) {
        const bool escape = quote == '"' ? std::string_view("$`\"\\").find(c) != std::string_view::npos : !quote && !needs_no_quoting(c);
        if (quote == '\'' && c == '\'') {
            result += "'\\''";
            continue;
        }
        if (escape) result += '\\';
        result += c;
    }
    return result;
}

// The prompt's line is not searched for controls by readline in every case, and other text can mislead.
bool is_printable(std::string_view text) {
    std::string without_backslashes(text);
    std::erase(without_backslashes, '\\');
    return base::escape(without_backslashes) == without_backslashes;
}

std::string_view common_beginning(const std::vector<Candidate>& candidates) {
    std::string_view common = candidates.front().path;
    for (const Candidate& candidate : candidates) {
        const auto [ours, theirs] = std::mismatch(common.begin(), common.end(), candidate.path.begin(), candidate.path.end());
        common = common.substr(0, static_cast<size_t>(ours - common.begin()));
    }
    // Not in the middle of a character.
    while (!common.empty() && common.size() < candidates.front().path.size() &&
           (static_cast<unsigned char>(candidates.front().path[common.size()]) & 0xc0) == 0x80)
        common.remove_suffix(1);
    return common;
}

}  // namespace

PartialWord word_before(std::string_view line, size_t cursor) {
    PartialWord word;
    bool in_word = false;
    for (size_t i = 0; i < cursor; i++) {
        const char c = line[i];
        const bool separates = std::string_view(" \t\n;|&<>()=`").find(c) != std::string_view::npos;
        if (!word.quote && separates) {
            in_word = false;
            continue;
        }
        if (!in_word) {
            word = {.begin = i};
            in_word = true;
        }
        const bool escapable =
            !word.quote || std::string_view("$`\"\\").find(i + 1 < cursor ? line[i + 1] : '\0') != std::string_view::npos;
        if (c == '\\' && word.quote != '\'' && i + 1 < cursor && escapable) {
            word.text += line[++i];
        } else if (c == word.quote) {
            word.quote = 0;
        } else if (!word.quote && (c == '\'' || c == '"')) {
            word.quote = c;
        } else {
            word.text += c;
        }
    }
    return in_word ? word : PartialWord{.begin = cursor};
}

std::vector<std::string> completion_command(const std::string& prefix) {
    return {"/bin/sh", "-c", kScript, "sh", prefix};
}

std::vector<Candidate> parse_candidates(std::string_view answer, std::string_view prefix) {
    std::vector<Candidate> candidates;
    answer = answer.substr(0, kMaxAnswer);
    for (size_t end = answer.find('\0'); end != std::string_view::npos; end = answer.find('\0')) {
        const std::string_view path = answer.substr(0, end);
        answer.remove_prefix(end + 1);
        const bool folder = path.ends_with('/');
        if (!path.starts_with(prefix) || path.empty() || candidates.size() == kMaxCandidates) continue;
        candidates.push_back({.path = std::string(path), .folder = folder});
    }
    std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) { return a.path < b.path; });
    const auto same = [](const Candidate& a, const Candidate& b) { return a.path == b.path; };
    candidates.erase(std::unique(candidates.begin(), candidates.end(), same), candidates.end());
    return candidates;
}

std::string completed(const PartialWord& word, const std::vector<Candidate>& candidates) {
    if (candidates.empty()) return {};
    const std::string_view common = common_beginning(candidates);
    const bool complete = candidates.size() == 1 && !candidates.front().folder;
    if (!is_printable(common) || common.size() < word.text.size() || (common.size() == word.text.size() && !complete)) return {};
    std::string text = quoted(common, word.quote);
    if (complete && word.quote) text += word.quote;
    return complete ? text + ' ' : text;
}

std::string shown_name(const Candidate& candidate) {
    std::string_view path = candidate.path;
    if (candidate.folder) path.remove_suffix(1);
    path = path.substr(path.rfind('/') + 1);
    constexpr size_t kLongest = 100;
    std::string name = base::escape(path.substr(0, kLongest));
    return candidate.folder ? name + '/' : name;
}

}  // namespace dbg
