#pragma once

#include <string>
#include <string_view>

namespace base {

// A name from a stranger, which may be any bytes, as text that cannot steer a terminal: what is not printable ASCII or UTF-8, and the
// backslash, is written as \xNN, so that different names stay different.
std::string escape(std::string_view bytes);

// The same in quotes, and cut where it is longer than some 200 bytes: for messages.
std::string quote(std::string_view bytes);

}  // namespace base
