#include "registry/server/basic_login.h"

#include <strings.h>

#include "base/error.h"
#include "registry/server/errors.h"
#include "registry/signature.h"

namespace registry::server {
namespace {

constexpr std::string_view kScheme = "Basic ";

std::string decoded(const std::string& text) {
    try {
        return base64_decode(text);
    } catch (const base::Error&) {
        throw HttpError(http::kBadRequest, "Authorization is not Basic with user and token in Base64");
    }
}

}  // namespace

std::string basic_login(const Request& request, Service& service) {
    const std::string header = request.header("Authorization");
    if (::strncasecmp(header.c_str(), kScheme.data(), kScheme.size()) != 0) return "";
    const std::string login = decoded(header.substr(kScheme.size()));
    const size_t colon = login.find(':');
    if (colon == std::string::npos) throw HttpError(http::kBadRequest, "Authorization is not Basic with user and token in Base64");
    std::string user = login.substr(0, colon);
    if (!service.login(user, login.substr(colon + 1), request.client())) throw HttpError(http::kUnauthorized, "wrong user name or token");
    return user;
}

}  // namespace registry::server
