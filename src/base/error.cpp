#include "base/error.h"

#include <cerrno>
#include <system_error>

namespace base {

std::string errno_text(int error_number) {
    return std::generic_category().message(error_number);
}

SystemError::SystemError(int error_number, const std::string& what)
    : Error(what + ": " + errno_text(error_number)), error_number_(error_number) {}

SystemError SystemError::in(std::string_view context) const {
    return {error_number_, Whole{std::string(context) + ": " + what()}};
}

void throw_errno(const std::string& what) {
    throw SystemError(errno, what);
}

}  // namespace base
