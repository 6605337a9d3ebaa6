#pragma once

#include <string>

#include "registry/server/http.h"
#include "registry/server/service.h"

namespace registry::server {

// The user who asks by HTTP Basic (RFC 7617), whose password is an access token; empty where nobody does. Throws HttpError 401 where the
// token is wrong, 400 where the header is none.
std::string basic_login(const Request& request, Service& service);

}  // namespace registry::server
