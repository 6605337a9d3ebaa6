// Folder base: what every program needs and Golem has no part in: errors, file descriptors, whole files, child processes, hashes, sizes,
// the log. Nothing here knows of images or VMs.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace base {

// Every error that a program reports. The message is built outward while it travels up: "cannot convert app.tar: layer 3: bad tar header".
class Error : public std::runtime_error {
public:
    explicit Error(const std::string& message) : std::runtime_error(message) {}
};

// A failed system call; the message ends with the error's text ("…: No such file or directory"), never with a bare number.
class SystemError : public Error {
public:
    SystemError(int error_number, const std::string& what);
    int error_number() const { return error_number_; }

    // The same error with `context` in front.
    SystemError in(std::string_view context) const;

private:
    struct Whole {
        std::string message;
    };
    SystemError(int error_number, const Whole& whole) : Error(whole.message), error_number_(error_number) {}

    int error_number_;
};

// Throws SystemError from the calling thread's errno.
[[noreturn]] void throw_errno(const std::string& what);

// The text of an errno value ("Permission denied").
std::string errno_text(int error_number);

// Runs f; an Error that leaves it gets `context` in front: "context: message".
template <typename F>
decltype(auto) with_context(std::string_view context, F&& f) {
    try {
        return std::forward<F>(f)();
    } catch (const SystemError& e) {
        throw e.in(context);
    } catch (const Error& e) {
        throw Error(std::string(context) + ": " + e.what());
    }
}

}  // namespace base
