// Text from strangers (images, guests, registries) on its way to a terminal, a log or a message. Each function takes any bytes and returns
// text that cannot control a terminal: no control characters, none that change the direction of text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace base {

// For names. What is not printable ASCII or UTF-8, and the backslash, becomes \xNN, so that different names stay different.
std::string escape(std::string_view bytes);

// Like escape, in quotes and cut after 200 bytes: for names in messages.
std::string quote(std::string_view bytes);

// For another program's message inside one of ours: escaped, on one line, cut after 300 bytes.
std::string escape_line(std::string_view text);

// For prose: valid UTF-8 on one line, at most `limit` bytes; every other byte becomes '?'.
std::string printable(std::string_view text, size_t limit);

// For a console: printable ASCII, tabs and line ends; '?' stands for each other byte, carriage returns are dropped.
std::string printable_lines(std::string_view bytes);

}  // namespace base
