#include "registry/server/page/visit.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include "base/hash.h"
#include "base/hex.h"
#include "registry/server/errors.h"
#include "registry/server/tokens.h"

namespace registry::server::page {
namespace {

constexpr const char* kSessionCookie = "gvmkit-session";
constexpr const char* kFormCookie = "gvmkit-form";
constexpr size_t kFormDigits = 64;

// Whether the browser came by TLS; a proxy before us says so.
bool by_tls(const Request& request, const PublicUrls& urls) {
    return urls.tls || (urls.http.empty() && !urls.https.empty()) || request.header("X-Forwarded-Proto") == "https";
}

}  // namespace

Visit::Visit(const Request& request_, Service& service_, const PublicUrls& urls_) : request(request_), service(service_), urls(urls_) {
    session_ = request.cookie(kSessionCookie).value_or("");
    if (!session_.empty()) user = service.session_user(session_).value_or("");
    form_ = request.cookie(kFormCookie).value_or("");
    if (!base::is_hex(form_, kFormDigits)) {
        form_ = token_hash(new_token());
        new_form_ = true;
    }
}

std::string Visit::form_text() const {
    return token_hash("form\n" + session_ + "\n" + form_);
}

std::string Visit::form_field() const {
    return R"(<input type="hidden" name="form" value=")" + form_text() + "\">";
}

void Visit::check(const Form& form) const {
    const std::string expected = form_text();
    const std::string& given = form.field("form");
    const std::string site = request.header("Sec-Fetch-Site");
    const bool ours = site.empty() || site == "same-origin";
    if (new_form_ || !ours || given.size() != expected.size() || CRYPTO_memcmp(given.data(), expected.data(), given.size()) != 0)
        throw HttpError(http::kForbidden, "this form is too old, or is not from here; open the page again");
}

void Visit::require_user() const {
    if (user.empty()) throw HttpError(http::kUnauthorized, "sign in first");
}

std::pair<std::string, std::string> Visit::cookie(const char* name, const std::string& value, const char* more) const {
    return {"Set-Cookie",
            fmt::format("{}={}; Path=/; HttpOnly; SameSite=Strict{}{}", name, value, more, by_tls(request, urls) ? "; Secure" : "")};
}

std::vector<std::pair<std::string, std::string>> Visit::form_cookie() const {
    if (!new_form_) return {};
    return {cookie(kFormCookie, form_, "")};
}

std::pair<std::string, std::string> Visit::session_cookie(const std::string& secret) const {
    return cookie(kSessionCookie, secret, "");
}

std::pair<std::string, std::string> Visit::no_session_cookie() const {
    return cookie(kSessionCookie, "", "; Max-Age=0");
}

}  // namespace registry::server::page
