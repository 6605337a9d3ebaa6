#pragma once

#include <functional>
#include <string>
#include <vector>

namespace oci {

// The result of a program that ended.
struct ToolOutput {
    int code = 0;        // the exit code, or 128 + the signal
    std::string output;  // standard output, at most 16 MiB
    std::string errors;  // standard error, of which the last 64 KiB
};

// Runs a program with our environment and nothing on stdin. `wait` is called five times a second meanwhile and may throw, which kills the
// program. Throws base::SystemError when it cannot be started. Call it from the main thread (base::spawn).
ToolOutput run_tool(const std::vector<std::string>& argv, const std::function<void()>& wait = {});

// The last meaningful line of an error text: what a program died of.
std::string last_words(const std::string& errors);

}  // namespace oci
