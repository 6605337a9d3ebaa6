#pragma once

#include <memory>
#include <optional>
#include <string>

#include "registry/server/http.h"
#include "registry/server/metrics.h"
#include "registry/server/service.h"

namespace registry::server {

// Where the registry is reached from outside. Where nothing is said, it is where the request came to (its Host).
struct PublicUrls {
    std::string http, https;  // without a slash at the end; at least one, or neither
    bool tls = false;         // whether this server itself speaks TLS
};

// The exchange for a request of docs/spec/registry.md's table, the web page, /healthz and /metrics. Throws HttpError 404 or 405.
std::unique_ptr<Exchange> route(const Request& request, Service& service, const PublicUrls& urls, const Metrics& metrics);

// The parts of `route`, each none where the path is not its own: what takes forms and JSON, what gives images, and the
// web page.
std::unique_ptr<Exchange> route_push(const Request& request, Service& service);
std::unique_ptr<Exchange> route_pull(const Request& request, Service& service, const PublicUrls& urls);
std::unique_ptr<Exchange> route_web(const Request& request, Service& service);

// Where a request finds this server from outside: as given, else as its Host says. Both are set. Throws HttpError 400.
PublicUrls public_urls(const Request& request, const PublicUrls& given);

// The answer to /v1/image/info (docs/spec/registry.md): where an image is, `path` below both public URLs, with its hash and size.
Response image_info(const PublicUrls& urls, const std::string& path, const std::string& sha3, uint64_t size);

// Content of `size` bytes, or the part of it that the request's Range asks for; `etag` with its quotes.
Response ranged_answer(const Request& request, uint64_t size, const std::string& etag, std::shared_ptr<Content> content);

// An exchange without a body.
std::unique_ptr<Exchange> answer(std::function<Response()> finish);

}  // namespace registry::server
