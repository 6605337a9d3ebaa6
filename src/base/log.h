#pragma once

#include <filesystem>
#include <string_view>

#include <spdlog/spdlog.h>

namespace base {

// Sends spdlog's default logger to stderr with lines "ya-runtime-vm: text". Standard output belongs to
// the protocols and is never logged to.
void log_to_stderr(const char* program, spdlog::level::level_enum level = spdlog::level::info);

// Also logs to PROGRAM.log in `folder` (made if missing), with times, from level `info` on or from stderr's level if that is lower. Rotated
// at 10 MiB, three files kept. An unwritable folder is reported once on stderr and otherwise tolerated.
void log_to_file(const char* program, const std::filesystem::path& folder);

// The level for `target` in a text such as Rust programs take in RUST_LOG: "debug", "warn,ya_runtime_vm=trace". The longest name that is a
// prefix of the target wins; a level without a name is for all; "-" equals "_". The default is info.
spdlog::level::level_enum log_level(std::string_view directives, std::string_view target);

}  // namespace base
