#include "registry/server/api.h"

#include "registry/server/cors.h"
#include "registry/server/errors.h"

namespace registry::server {
namespace {

class Answer : public Exchange {
public:
    explicit Answer(std::function<Response()> finish) : finish_(std::move(finish)) {}
    Response finish() override { return finish_(); }

private:
    std::function<Response()> finish_;
};

}  // namespace

std::unique_ptr<Exchange> answer(std::function<Response()> finish) {
    return std::make_unique<Answer>(std::move(finish));
}

std::unique_ptr<Exchange> route(const Request& request, Service& service, const PublicUrls& urls, const Metrics& metrics) {
    if (request.method == "POST") {
        if (auto exchange = route_push(request, service)) return exchange;
    } else if (request.method == "GET" || request.method == "HEAD") {
        if (request.path == "/healthz") return answer([] { return Response{.body = "ok\n"}; });
        if (request.path == "/metrics") {
            return answer([&service, &metrics] {
                return Response{.type = "text/plain; version=0.0.4", .body = metrics.text(service.metadata(), service.storage())};
            });
        }
        if (auto exchange = route_pull(request, service, urls)) return exchange;
        if (auto exchange = route_web(request, service)) return exchange;
    } else if (request.method == "OPTIONS" && may_read_cross_origin(request)) {
        return answer_preflight();
    } else {
        throw HttpError(http::kNotAllowed, "only GET, HEAD and POST are answered here");
    }
    throw HttpError(http::kNotFound, "there is nothing here");
}

}  // namespace registry::server
