#pragma once

#include <filesystem>
#include <string_view>

#include <spdlog/spdlog.h>

namespace base {

// Sends spdlog's default logger to stderr with lines "ya-runtime-vm: text". Standard output belongs to
// the protocols and is never logged to.
void log_to_stderr(const char* program, spdlog::level::level_enum level = spdlog::level::info);

// Also to a file in `folder` (made if missing), named PROGRAM.log, with times, from `info` on or what goes to stderr if that is more;
// rotated at 10 MiB, three kept. A folder that cannot be written is said once on stderr and otherwise survived.
void log_to_file(const char* program, const std::filesystem::path& folder);

// The level that a text such as Rust's programs take in RUST_LOG means for `target`: "debug", "warn,ya_runtime_vm=trace". The longest name
// that begins the target's own counts, a level without a name for all; "-" is the same as "_". Info where nothing is said of it.
spdlog::level::level_enum log_level(std::string_view directives, std::string_view target);

}  // namespace base
