#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace dbg {

// Lines that were typed, in a file of mode 0600 that several debuggers append to at once. A line break inside an entry is kept as "\n", a
// backslash as "\\".
//
// The file has at most kMaxHistory bytes; when it would grow beyond, its older half goes. An entry of more than kMaxEntry bytes is not
// kept, nor is one that begins with a blank, as in a shell that is told to ignore those.
constexpr size_t kMaxHistory = 1 << 20;
constexpr size_t kMaxEntry = 16 << 10;

// $XDG_STATE_HOME/gvmkit/dbg_history, else ~/.local/state/gvmkit/dbg_history; empty where there is no home.
std::filesystem::path history_file();

// The entries, oldest first; none where the file cannot be read.
std::vector<std::string> read_history(const std::filesystem::path& file);

// Appends an entry; makes the file and its folders where they are missing. No entry of another process is lost. Throws base::Error.
void append_history(const std::filesystem::path& file, std::string_view entry);

}  // namespace dbg
