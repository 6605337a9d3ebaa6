#pragma once

#include <memory>
#include <optional>
#include <string>

#include "registry/server/http.h"
#include "registry/server/metrics.h"
#include "registry/server/mirror.h"
#include "registry/server/redirects.h"
#include "registry/server/service.h"

namespace registry::server {

// The registry's public address. Where none is given, it is the address of the request (its Host).
struct PublicUrls {
    std::string http, https;  // without a trailing slash; both, one or neither
    bool tls = false;         // whether this server itself speaks TLS
    bool documents = false;   // whether it offers pages below /docs/
};

// Where images come from beside the service; null where there is none.
struct Helpers {
    Mirror* mirror = nullptr;
    Redirects* redirects = nullptr;
};

// The exchange for a request in docs/spec/registry.md's table, the web page, /healthz and /metrics. Throws HttpError 404
// or 405.
std::unique_ptr<Exchange> route(const Request& request, Service& service, const PublicUrls& urls, const Metrics& metrics,
                                const Helpers& helpers);

// The parts of `route`; each returns none for another part's path: forms and JSON, downloads, and the page for people (page/).
std::unique_ptr<Exchange> route_push(const Request& request, Service& service);
std::unique_ptr<Exchange> route_pull(const Request& request, Service& service, const PublicUrls& urls, const Helpers& helpers);
std::unique_ptr<Exchange> route_page(const Request& request, Service& service, const PublicUrls& urls);

// The public address for a request: the configured one, else its Host. Sets both URLs. Throws HttpError 400.
PublicUrls public_urls(const Request& request, const PublicUrls& given);

// The answer to /v1/image/info (docs/spec/registry.md): where an image is, `path` below both public URLs, with its hash and size.
// `expires`: when the tag is removed; empty where it is not.
Response image_info(const PublicUrls& urls, const std::string& path, const std::string& sha3, uint64_t size,
                    const std::string& expires = {});

// Content of `size` bytes, or the part of it that the request's Range asks for; `etag` with its quotes.
Response ranged_answer(const Request& request, uint64_t size, const std::string& etag, std::shared_ptr<Content> content);

// An exchange without a body; `slow`: `finish` waits for the disk or another machine.
std::unique_ptr<Exchange> answer(std::function<Response()> finish, bool slow = false);
// The same, where `finish` may wait for minutes.
std::unique_ptr<Exchange> waiting_answer(std::function<Response()> finish);

}  // namespace registry::server
