#include "registry/reference.h"

#include <algorithm>

#include "base/error.h"

namespace registry {
namespace {

bool is_name(std::string_view text) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    };
    return !text.empty() && text != "." && text != ".." && text.size() <= 128 && std::all_of(text.begin(), text.end(), allowed);
}

}  // namespace

std::string Reference::text() const {
    return (user.empty() ? "" : user + "/") + repository + ":" + tag;
}

Reference parse_reference(std::string_view text) {
    Reference reference;
    std::string_view name = text;
    if (const size_t colon = name.find(':'); colon != std::string_view::npos) {
        reference.tag = name.substr(colon + 1);
        name = name.substr(0, colon);
    }
    const size_t slash = name.find('/');
    if (slash != std::string_view::npos) reference.user = name.substr(0, slash);
    reference.repository = slash == std::string_view::npos ? name : name.substr(slash + 1);
    const bool user_fits = slash == std::string_view::npos || is_name(reference.user);
    if (!user_fits || !is_name(reference.repository) || !is_name(reference.tag)) {
        throw base::Error("'" + std::string(text) + "' is not an image's name: USER/REPOSITORY:TAG of letters, digits, '-', '_' and '.'");
    }
    return reference;
}

Reference parse_full_reference(std::string_view text) {
    Reference reference = parse_reference(text);
    if (reference.user.empty()) throw base::Error("'" + std::string(text) + "' has no user: USER/REPOSITORY:TAG");
    return reference;
}

}  // namespace registry
