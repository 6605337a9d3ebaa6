#pragma once

#include <string_view>

namespace dbg {

// Writes all of it to our stdout or stderr, even where another program has made the descriptor non-blocking. Throws SystemError.
void write_out(int fd, std::string_view text);

}  // namespace dbg
