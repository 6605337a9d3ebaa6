#pragma once

#include <memory>

#include "registry/server/http.h"

namespace registry::server {

// Whether web pages of any origin may read the answer (CORS, https://fetch.spec.whatwg.org): what a requestor in a browser looks up and
// downloads, and nothing else. It needs no credentials, so a page learns nothing that its user alone could.
bool may_read_cross_origin(const Request& request);

// The answer to a browser's OPTIONS before such a request.
std::unique_ptr<Exchange> answer_preflight();

}  // namespace registry::server
