#include "registry/server/names.h"

#include <algorithm>

#include "registry/server/errors.h"

namespace registry::server {
namespace {

constexpr size_t kMaxName = 128;

// Not isalnum, which asks the locale.
bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

}  // namespace

void check_name(std::string_view name, std::string_view what) {
    const bool good = !name.empty() && name.size() <= kMaxName && std::all_of(name.begin(), name.end(), is_name_character) &&
                      name.find_first_not_of('.') != std::string_view::npos;
    if (!good)
        throw HttpError(http::kBadRequest,
                        "bad " + std::string(what) + ": a name is 1 to 128 letters, digits, '-', '_' and '.', and not only dots");
}

Name parse_name(const std::string& text) {
    const size_t slash = text.find('/');
    if (slash == std::string::npos) throw HttpError(http::kBadRequest, "bad image name: it is not user/repository:tag");
    const size_t colon = text.find(':', slash);
    Name name{.user = text.substr(0, slash),
              .repository = text.substr(slash + 1, colon == std::string::npos ? colon : colon - slash - 1),
              .tag = colon == std::string::npos ? "latest" : text.substr(colon + 1)};
    check_name(name.user, "user name");
    check_name(name.repository, "repository name");
    check_name(name.tag, "tag");
    return name;
}

std::string full_name(const Name& name) {
    return name.user + "/" + name.repository + (name.tag.empty() ? "" : ":" + name.tag);
}

std::string escape_html(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            case '\'':
                out += "&#39;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

}  // namespace registry::server
