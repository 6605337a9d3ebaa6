#pragma once

#include <filesystem>

#include <spdlog/spdlog.h>

namespace base {

// Sends spdlog's default logger to stderr with lines "ya-runtime-vm: text". Standard output belongs to
// the protocols and is never logged to.
void log_to_stderr(const char* program);

// Also to a file in `folder` (made if missing), named PROGRAM.log, with times; rotated at 10 MiB, three kept. A folder that cannot be
// written is said once on stderr and otherwise survived.
void log_to_file(const char* program, const std::filesystem::path& folder);

}  // namespace base
