// Folder init: the guest's only program, init and agent in one. It does what docs/spec/guest.md promises of a VM and runs what the host
// asks for over the agent channel (agent.proto). It has no exceptions and no RTTI: functions that can fail return a Status or a Result.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "agent/agent.pb.h"

namespace init {

std::string cat(std::initializer_list<std::string_view> words);

// The outcome of an operation. A failure's text names the object and the reason; it is empty after success.
struct [[nodiscard]] Status {
    std::string text;
    agent::Error::Code code = agent::Error::INTERNAL;

    bool ok() const { return text.empty(); }
};

// A value, or why there is none.
template <typename T>
struct [[nodiscard]] Result {
    T value{};
    Status status;

    Result(T v) : value(std::move(v)) {}        // NOLINT(google-explicit-constructor): `return value;` is the point
    Result(Status s) : status(std::move(s)) {}  // NOLINT(google-explicit-constructor)
    bool ok() const { return status.ok(); }
};

// The words, then a colon and the text of an errno value.
Status failure(int error_number, std::initializer_list<std::string_view> words);
Status failure(std::initializer_list<std::string_view> words);
Status bad_request(std::initializer_list<std::string_view> words);

// Opens the kernel's log for the two functions below, before anybody can have removed /dev.
void open_console();

// Writes a line to the kernel's log, and so to the console.
void console(std::string_view text);

// For what must not happen: reports it on the console and ends the VM.
[[noreturn]] void fatal(std::string_view text);

}  // namespace init
