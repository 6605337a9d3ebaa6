#include "registry/server/api.h"

#include <spdlog/spdlog.h>

#include "base/error.h"
#include "registry/server/cors.h"
#include "registry/server/errors.h"

namespace registry::server {
namespace {

constexpr unsigned kReadOnlySeconds = 60;

class Answer : public Exchange {
public:
    Answer(std::function<Response()> finish, bool slow) : finish_(std::move(finish)), slow_(slow) {}
    bool slow() const override { return slow_; }
    Response finish() override { return finish_(); }

private:
    std::function<Response()> finish_;
    bool slow_;
};

class WaitingAnswer : public Exchange {
public:
    explicit WaitingAnswer(std::function<Response()> finish) : finish_(std::move(finish)) {}
    bool waits() const override { return true; }
    Response finish() override { return finish_(); }

private:
    std::function<Response()> finish_;
};

// That we run.
class Alive : public Exchange {
public:
    bool immediate() const override { return true; }
    Response finish() override { return {.body = "ok\n"}; }
};

// Whether we can serve: what data base and store say.
Response readiness(Service& service) {
    Response response;
    const auto ask = [&response](const std::string& name, const std::function<void()>& question) {
        try {
            question();
            response.body += name + ": ok\n";
        } catch (const base::Error& e) {
            spdlog::error("not ready: {}: {}", name, e.what());
            response.body += name + ": does not answer\n";
            response.status = http::kUnavailable;
        }
    };
    ask("data base", [&service] { service.metadata().ping(); });
    ask("store", [&service] { service.storage().ping(); });
    if (response.status != http::kOk) response.headers.emplace_back("Retry-After", std::to_string(kRetryAfterSeconds));
    return response;
}

}  // namespace

std::unique_ptr<Exchange> answer(std::function<Response()> finish, bool slow) {
    return std::make_unique<Answer>(std::move(finish), slow);
}

std::unique_ptr<Exchange> waiting_answer(std::function<Response()> finish) {
    return std::make_unique<WaitingAnswer>(std::move(finish));
}

std::unique_ptr<Exchange> route(const Request& request, Service& service, const PublicUrls& urls, const Metrics& metrics,
                                const Helpers& helpers) {
    if (request.method == "POST") {
        if (service.read_only())
            throw HttpError(http::kUnavailable, "this registry takes nothing for now; try again later", kReadOnlySeconds);
        if (auto exchange = route_push(request, service)) return exchange;
        if (auto exchange = route_page(request, service, urls)) return exchange;
    } else if (request.method == "GET" || request.method == "HEAD") {
        if (request.path == "/healthz") return std::make_unique<Alive>();
        if (request.path == "/readyz") {
            return answer([&service] { return readiness(service); }, true);
        }
        if (request.path == "/metrics") {
            return answer([&service, &metrics] {
                return Response{.type = "text/plain; version=0.0.4", .body = metrics.text(service.metadata(), service.storage())};
            });
        }
        if (auto exchange = route_pull(request, service, urls, helpers)) return exchange;
        if (auto exchange = route_page(request, service, urls)) return exchange;
    } else if (request.method == "OPTIONS" && may_read_cross_origin(request)) {
        return answer_preflight();
    } else {
        throw HttpError(http::kNotAllowed, "only GET, HEAD and POST are answered here");
    }
    throw HttpError(http::kNotFound, "there is nothing here");
}

}  // namespace registry::server
