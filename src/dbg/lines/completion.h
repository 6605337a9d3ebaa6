// Completion of guest paths at the prompt: what is asked for, how the guest is asked, and what becomes of its answer.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace dbg {

// The beginning of a word, quoted as in a POSIX shell, that ends where the cursor is.
struct PartialWord {
    size_t begin = 0;       // its first byte in the line, an open quote included
    std::string text = {};  // without the quoting
    char quote = 0;         // the quote that is open at its end: ', " or none
};

// `cursor` is at most the line's length.
PartialWord word_before(std::string_view line, size_t cursor);

struct Candidate {
    std::string path;  // begins with what was asked for; any bytes
    bool folder = false;
};
constexpr size_t kMaxCandidates = 500;
constexpr size_t kMaxAnswer = 256 << 10;  // bytes of a guest's answer that are looked at

// The command that prints the paths that begin with `prefix`, for any image with /bin/sh: it needs nothing else of the image.
std::vector<std::string> completion_command(const std::string& prefix);

// The answer is a guest's: what does not begin with `prefix`, or is incomplete, is dropped. Sorted, each once, at most kMaxCandidates.
std::vector<Candidate> parse_candidates(std::string_view answer, std::string_view prefix);

// What to put in place of the word: its text or the longest beginning that all candidates have in common, quoted; behind a single file the
// quote is closed and a blank follows. Empty where there is nothing to add, or it is not printable.
std::string completed(const PartialWord& word, const std::vector<Candidate>& candidates);

// What a list shows of a candidate: its last name, which cannot control the terminal.
std::string shown_name(const Candidate& candidate);

}  // namespace dbg
