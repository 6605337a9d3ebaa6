// Folder base: what every program needs and is not specific to Golem: errors, file descriptors, files, child processes, hashes, sizes, the
// log. Nothing here knows of images or VMs.
#pragma once

#include <cerrno>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace base {

// Every error that a program reports. Callers add context on the way up: "cannot convert app.tar: layer 3: bad tar header".
class Error : public std::runtime_error {
public:
    explicit Error(const std::string& message) : std::runtime_error(message), message_(message) {}
    const char* what() const noexcept override { return message_.c_str(); }

    // Puts "context: " in front of the message. The type stays, and with it what a derived class knows.
    void add_context(std::string_view context);

private:
    std::string message_;
};

// A failed system call; the message ends with the error's text ("…: No such file or directory"), never with a bare number.
class SystemError : public Error {
public:
    SystemError(int error_number, const std::string& what);
    // From a call of std::filesystem; the message names its paths.
    explicit SystemError(const std::filesystem::filesystem_error& error);
    int error_number() const { return error_number_; }

private:
    int error_number_;
};

// Throws SystemError from the calling thread's errno. Pass the parts of the message (texts and paths), not their sum: errno is read before
// the message is built, and building a text may change errno.
template <typename... Parts>
[[noreturn]] void throw_errno(const Parts&... parts) {
    const int error_number = errno;
    std::string what;
    const auto append = [&what](const auto& part) {
        if constexpr (std::is_same_v<std::decay_t<decltype(part)>, std::filesystem::path>) {
            what += part.native();
        } else {
            what += part;
        }
    };
    (append(parts), ...);
    throw SystemError(error_number, what);
}

// The text of an errno value ("Permission denied").
std::string errno_text(int error_number);

// Runs f; an Error of any type that leaves it gets `context` in front: "context: message". An error of std::filesystem becomes a
// SystemError.
template <typename F>
decltype(auto) with_context(std::string_view context, F&& f) {
    try {
        return std::forward<F>(f)();
    } catch (Error& e) {
        e.add_context(context);
        throw;
    } catch (const std::filesystem::filesystem_error& e) {
        SystemError error(e);
        error.add_context(context);
        throw error;
    }
}

}  // namespace base
