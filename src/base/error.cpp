#include "base/error.h"

#include <system_error>

namespace base {
namespace {

std::string describe(const std::filesystem::filesystem_error& error) {
    // The library's own text is "filesystem error: cannot copy: No such file or directory [/a] [/b]".
    std::string_view what = error.what();
    constexpr std::string_view kPrefix = "filesystem error: ";
    if (what.starts_with(kPrefix)) what.remove_prefix(kPrefix.size());
    std::string text(what.substr(0, what.find(": ")));
    if (!error.path1().empty()) text.append(" ").append(error.path1().native());
    if (!error.path2().empty()) text.append(" to ").append(error.path2().native());
    return text;
}

}  // namespace

std::string errno_text(int error_number) {
    return std::generic_category().message(error_number);
}

void Error::add_context(std::string_view context) {
    message_.insert(0, std::string(context) + ": ");
}

SystemError::SystemError(int error_number, const std::string& what)
    : Error(what + ": " + errno_text(error_number)), error_number_(error_number) {}

SystemError::SystemError(const std::filesystem::filesystem_error& error) : SystemError(error.code().value(), describe(error)) {}

}  // namespace base
