#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dbg {

// A line in words as a POSIX shell splits it: blanks between, '…' unchanged, "…" with \ before $ ` " \, and \ before any character outside.
// Nothing is expanded. Throws base::Error for a quote that is not closed.
std::vector<std::string> split_words(std::string_view line);

}  // namespace dbg
