#include "registry/server/page/page.h"

#include <spdlog/spdlog.h>

#include <charconv>

#include "http/client.h"

#include "registry/server/errors.h"
#include "registry/server/names.h"

namespace registry::server {
namespace page {
namespace {

constexpr std::string_view kImagePath = "/image/";

const char* title_of(unsigned status) {
    switch (status) {
        case http::kNotFound:
            return "Not found";
        case http::kBlocked:
            return "Blocked";
        case http::kTooManyRequests:
        case http::kUnavailable:
            return "Try again later";
        default:
            return "This did not work";
    }
}

Response error_page(const Visit& visit, const HttpError& error) {
    const std::string title = title_of(error.status());
    Response response = respond(
        visit, {.title = title,
                .body = "<div class=\"empty\"><h1>" + title + "</h1>\n<p>" + text(error.what()) + ".</p>\n<p>" +
                        (error.status() == http::kUnauthorized ? link("/sign-in", "Sign in") : link("/", "All images")) + "</p></div>\n",
                .status = error.status()});
    if (error.retry_after() > 0) response.headers.emplace_back("Retry-After", std::to_string(error.retry_after()));
    return response;
}

}  // namespace

Response as_page(const Request& request, Service& service, const PublicUrls& urls, const std::function<Response(const Visit&)>& make) {
    const Visit visit(request, service, urls);
    try {
        return make(visit);
    } catch (const HttpError& e) {
        return error_page(visit, e);
    } catch (const http::TransientError& e) {
        spdlog::error("{}", e.what());
        return error_page(visit, HttpError(http::kUnavailable, "what this registry depends on does not answer now", kRetryAfterSeconds));
    }
}

Place parse_place(const std::string& path) {
    const size_t slash = path.find('/');
    const size_t end = slash == std::string::npos ? slash : path.find('/', slash + 1);
    const std::string name = path.substr(0, end);
    Place place{.name = parse_name(name), .view = {}, .rest = {}};
    if (name.find(':') == std::string::npos) place.name.tag.clear();
    if (end == std::string::npos) return place;
    const size_t view = end + 1;
    const size_t rest = path.find('/', view);
    place.view = path.substr(view, rest == std::string::npos ? rest : rest - view);
    if (rest != std::string::npos) place.rest = path.substr(rest);
    return place;
}

size_t parse_skip(const Request& request) {
    constexpr size_t kMost = 10'000'000;
    const std::string asked = request.query("skip").value_or("0");
    size_t skip = 0;
    const auto [end, error] = std::from_chars(asked.data(), asked.data() + asked.size(), skip);
    if (error != std::errc() || end != asked.data() + asked.size() || skip > kMost)
        throw HttpError(http::kBadRequest, "skip is not a number of entries");
    return skip;
}

namespace {

Response show_image(const Visit& visit) {
    const Place place = parse_place(visit.request.path.substr(kImagePath.size()));
    if (place.view.empty()) return image(visit, place);
    if (place.view == "files") return files(visit, place);
    if (place.view == "changes" && place.rest.empty()) return changes(visit, place);
    if (place.view == "checks" && place.rest.empty()) return checks(visit, place);
    throw HttpError(http::kNotFound, "there is no such page");
}

}  // namespace
}  // namespace page

std::unique_ptr<Exchange> route_page(const Request& request, Service& service, const PublicUrls& urls) {
    using namespace page;
    if (request.method == "POST") return route_posted(request, service, urls);
    if (auto asset = find_asset(request.path)) {
        return answer([response = *std::move(asset)] { return response; });
    }
    std::function<Response(const Visit&)> make;
    if (request.path == "/") make = browse;
    if (request.path == "/account") make = account;
    if (request.path == "/sign-in") make = [](const Visit& visit) { return sign_in(visit); };
    if (request.path.starts_with(kImagePath)) make = [](const Visit& visit) { return show_image(visit); };
    if (!make) return nullptr;
    return answer([&request, &service, &urls, make] { return as_page(request, service, urls, make); }, true);
}

}  // namespace registry::server
