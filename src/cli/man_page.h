#pragma once

#include <string>

#include "cli/declared.h"

namespace cli {

// The manual page of a program and its sub-commands, for section 1: roff with the macros of man(7), ASCII where the declarations are. It
// has no date, so that the same program gives the same bytes.
std::string man_page(const DeclaredCommand& program, const std::string& version);

}  // namespace cli
