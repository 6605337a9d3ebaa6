#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dbg {

// Splits a line into words as a POSIX shell does: blanks separate words, and '…' is literal. A backslash escapes any character, but inside
// "…" only $ ` " and itself. Nothing is expanded. Throws base::Error for a quote that is not closed.
std::vector<std::string> split_words(std::string_view line);

}  // namespace dbg
