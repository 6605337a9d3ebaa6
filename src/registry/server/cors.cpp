#include "registry/server/cors.h"

#include "http/status.h"
#include "registry/server/api.h"

namespace registry::server {

bool may_read_cross_origin(const Request& request) {
    if (request.method != "GET" && request.method != "HEAD" && request.method != "OPTIONS") return false;
    const std::string& path = request.path;
    return path == "/v1/image/info" || path == "/v1/image/download" || path.starts_with("/download/") ||
           (path.starts_with("/image.") && path.ends_with(".link"));
}

std::unique_ptr<Exchange> answer_preflight() {
    return answer([] {
        return Response{.status = http::kNoContent,
                        .headers = {{"Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"},
                                    {"Access-Control-Allow-Headers", "Range, If-Range, If-None-Match"},
                                    {"Access-Control-Max-Age", "86400"}}};
    });
}

}  // namespace registry::server
