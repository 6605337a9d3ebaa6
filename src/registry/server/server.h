#pragma once

#include <filesystem>
#include <string>

#include "registry/server/api.h"
#include "registry/server/http.h"
#include "registry/server/service.h"
#include "registry/server/storage.h"
#include "registry/server/webhooks.h"

namespace registry::server {

struct ServeOptions {
    StoreOptions store;
    std::string db;  // postgres://…: its metadata are there; empty: in the folder
    HttpOptions http;
    PublicUrls urls;
    Limits limits;
    MirrorOptions mirror;
    uint64_t redirect_quota = 0;  // bytes of the objects that clients are sent to; 0: none are
    WebhookOptions webhooks;
    std::filesystem::path audit_log;  // "-": standard output; empty: none
    std::filesystem::path docs;       // a folder of pages to offer below /docs/; empty: none
    double keep_anonymous_days = 30;  // how long an upload without a tag is kept
};

// Runs a registry until SIGTERM or SIGINT; prints "listening on URL" to standard output when it answers. Throws base::Error.
void serve(const ServeOptions& options);

// Uploads without a tag that are older than this are too old.
Time expiry(double keep_anonymous_days);

}  // namespace registry::server
