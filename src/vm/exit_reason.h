#pragma once

#include <string>

namespace vm {

// How a QEMU process ended: "QEMU was killed by signal 9", "the guest's kernel panicked: …", "QEMU: <its last line on stderr>".
struct ExitReason {
    int code = 0;            // exit code, or 128 + signal
    std::string reason;      // in plain words, one line
    std::string last_lines;  // of the guest's console and QEMU's stderr, at most 32 KiB, control characters replaced
};

// Reads the reason from what is left of a QEMU process; both texts are sanitised (ConsoleTail).
ExitReason describe_exit(int wait_status, const std::string& console, const std::string& errors);

}  // namespace vm
