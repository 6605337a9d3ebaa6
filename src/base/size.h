#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace base {

// Bytes from a number with an optional fraction and unit ("10.7 GB", "512 MiB", "4096"), any case, blanks allowed: k m g t p and kb … pb
// are decimal, ki … pi and kib … pib binary (docs/spec/exe-unit.md, deploy). Rounded down. Throws Error that names the text.
uint64_t parse_size(std::string_view text);

// GiB as a command line gives them (fractions allowed) to bytes, rounded down to whole MiB. Throws Error when not a positive number that
// fits.
uint64_t gib_to_bytes(double gib);

// "1.5 MiB": one decimal, binary units.
std::string format_size(uint64_t bytes);

}  // namespace base
