#pragma once

#include <string>

#include "registry/server/api.h"
#include "registry/server/form.h"

namespace registry::server::page {

// A request for a page, and who makes it. Who is signed in has a cookie with a secret, of which the data base has the hash (Metadata), so
// that every server knows it, and none remembers anything. Forms hold a text that only a page of ours can know: it is made from that cookie
// and another one, which no other site's form sends.
class Visit {
public:
    Visit(const Request& request, Service& service, const PublicUrls& urls);

    const Request& request;
    Service& service;
    const PublicUrls& urls;
    std::string user;  // who is signed in; empty: nobody

    // The hidden field of each form.
    std::string form_field() const;
    // Throws HttpError 403 where a form is not from a page of ours.
    void check(const Form& form) const;
    // Throws HttpError 401.
    void require_user() const;

    // Headers that set cookies: that of forms where the browser has none, and those of a sign-in and its end.
    std::vector<std::pair<std::string, std::string>> form_cookie() const;
    std::pair<std::string, std::string> session_cookie(const std::string& secret) const;
    std::pair<std::string, std::string> no_session_cookie() const;
    const std::string& session() const { return session_; }

private:
    std::string form_text() const;
    std::pair<std::string, std::string> cookie(const char* name, const std::string& value, const char* more) const;

    std::string session_;  // the secret
    std::string form_;     // the other cookie's value
    bool new_form_ = false;
};

}  // namespace registry::server::page
