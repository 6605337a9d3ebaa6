#include <algorithm>
#include <ctime>

#include "base/json.h"
#include "registry/server/api.h"
#include "registry/server/basic_login.h"
#include "registry/server/errors.h"
#include "registry/server/image_content.h"
#include "registry/server/link.h"
#include "registry/server/names.h"

namespace registry::server {
namespace {

constexpr const char* kJson = "application/json";
constexpr std::string_view kDescriptor = "/v1/image/descr/";
constexpr std::string_view kLinkStart = "/image.";
constexpr std::string_view kLinkEnd = ".link";

// A host as a client may name us; nothing else may get into an answer.
bool is_host(const std::string& host) {
    return !host.empty() && host.size() < 256 && std::all_of(host.begin(), host.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view(".-:[]_").find(c) != std::string_view::npos;
    });
}

}  // namespace

Response image_info(const PublicUrls& urls, const std::string& path, const std::string& sha3, uint64_t size, const std::string& expires) {
    nlohmann::json json = {{"http", urls.http + path}, {"https", urls.https + path}, {"sha3", sha3}, {"size", size}};
    if (!expires.empty()) json["expires"] = expires;
    return {.type = kJson, .body = base::to_text(json)};
}

PublicUrls public_urls(const Request& request, const PublicUrls& given) {
    PublicUrls urls = given;
    if (urls.http.empty() && urls.https.empty()) {
        const std::string host = request.header("Host");
        if (!is_host(host)) throw HttpError(http::kBadRequest, "the request has no usable Host");
        (urls.tls ? urls.https : urls.http) = (urls.tls ? "https://" : "http://") + host;
    }
    if (urls.http.empty()) urls.http = urls.https;
    if (urls.https.empty()) urls.https = urls.http;
    return urls;
}

Response ranged_answer(const Request& request, uint64_t size, const std::string& etag, std::shared_ptr<Content> content) {
    Response response{.type = "application/octet-stream", .headers = {{"Accept-Ranges", "bytes"}, {"ETag", etag}}};
    const std::string if_range = request.header("If-Range");
    const Range range = parse_range(if_range.empty() || if_range == etag ? request.header("Range") : "", size);
    if (range.kind == Range::Kind::impossible) {
        response.status = http::kNotSatisfiable;
        response.headers.emplace_back("Content-Range", "bytes */" + std::to_string(size));
        return response;
    }
    if (range.kind == Range::Kind::part) {
        response.status = http::kPartialContent;
        response.headers.emplace_back("Content-Range", "bytes " + std::to_string(range.first) + "-" +
                                                           std::to_string(range.first + range.length - 1) + "/" + std::to_string(size));
    }
    content->expect(range.first, range.length);
    response.content = std::move(content);
    response.content_offset = range.first;
    response.content_length = range.length;
    return response;
}

namespace {

// An image, and where it can be downloaded by whoever asks.
struct Found {
    Upload upload;
    std::string path;
    bool is_private = false;
    Time expires = 0;  // of the tag
};

Found found(Upload upload, Service& service, const std::string& viewer) {
    std::string path = service.download_path(upload.id, viewer);
    const bool is_private = path.starts_with(kPrivateDownload);
    return {.upload = std::move(upload), .path = std::move(path), .is_private = is_private};
}

Found find_by_hash(const std::string& sha3, const Request& request, Service& service, Mirror* mirror) {
    const std::string viewer = basic_login(request, service);
    return found(mirror ? mirror->find_by_hash(sha3, viewer) : service.find_by_hash(sha3, viewer), service, viewer);
}

// The image requested by `tag` or by `hash`.
Found find(const Request& request, Service& service, Mirror* mirror) {
    const std::optional<std::string> tag = request.query("tag");
    const std::optional<std::string> hash = request.query("hash");
    if (!tag && !hash) throw HttpError(http::kBadRequest, "neither tag nor hash is given");
    if (!tag) return find_by_hash(*hash, request, service, mirror);
    const std::string viewer = basic_login(request, service);
    Found image = found(mirror ? mirror->find_by_tag(*tag, viewer) : service.find_by_tag(*tag, viewer), service, viewer);
    image.expires = service.metadata().tag_expiry(parse_name(*tag));
    return image;
}

// Nobody on the way keeps an answer with a link for the next one who asks.
Response kept_private(Response response, bool is_private) {
    if (is_private) response.headers.emplace_back("Cache-Control", "no-store");
    return response;
}

Response status(const std::string& id, Service& service) {
    const Status status = service.status(id);
    nlohmann::json json = {{"descriptor", "missing"}, {"version", nullptr}, {"status", nullptr}, {"chunks", nullptr}};
    if (status.known) {
        json["descriptor"] = "ok";
        json["version"] = kDescriptorVersion;
        json["status"] = status.state == State::full ? "full" : "partial";
        nlohmann::json chunks = nlohmann::json::array();
        for (const bool there : status.chunks)
            chunks.push_back(there ? 1 : 0);
        json["chunks"] = std::move(chunks);
        if (status.expires > 0) json["expires"] = time_text(status.expires);
    }
    return {.type = kJson, .body = base::to_text(json)};
}

Response info(const Request& request, Service& service, const PublicUrls& given, Mirror* mirror) {
    const Found image = find(request, service, mirror);
    if (request.query("count") == "true") service.count_use(image.upload.id);
    const Descriptor& descriptor = image.upload.descriptor;
    return kept_private(image_info(public_urls(request, given), image.path, descriptor.sha3, descriptor.size,
                                   image.expires > 0 ? time_text(image.expires) : ""),
                        image.is_private);
}

// The URL of the same protocol as the request's.
std::string own_url(const Request& request, const Found& image, const PublicUrls& given) {
    const PublicUrls urls = public_urls(request, given);
    return (urls.tls ? urls.https : urls.http) + image.path;
}

Response redirect(const Request& request, Service& service, const PublicUrls& urls, Mirror* mirror) {
    const Found image = find(request, service, mirror);
    const std::string url = own_url(request, image, urls);
    return kept_private({.status = http::kFound, .body = url + "\n", .headers = {{"Location", url}}}, image.is_private);
}

Response link_to(const std::string& sha3, const Request& request, Service& service, const PublicUrls& urls, Mirror* mirror) {
    const Found image = find_by_hash(sha3, request, service, mirror);
    return kept_private({.body = own_url(request, image, urls)}, image.is_private);
}

// Where the store itself is to answer. It knows neither our ETags nor the web pages that may read our answers.
std::optional<Response> sent_to_store(const Request& request, const Upload& upload, Redirects* redirects) {
    if (!redirects || request.method != "GET" || !request.header("If-Range").empty() || !request.header("Origin").empty())
        return std::nullopt;
    Time longest = Redirects::kLifetime;
    if (request.path.starts_with(kPrivateDownload)) {
        const std::optional<Link> link = parse_link(request.path.substr(kPrivateDownload.size()));
        longest = link ? link->expires - std::time(nullptr) : 0;
    }
    const std::optional<std::string> url = redirects->url(upload, longest, request.header("Range").empty());
    if (!url) return std::nullopt;
    return Response{.status = http::kFound, .headers = {{"Location", *url}, {"Cache-Control", "no-store"}}};
}

Response download(const Request& request, Service& service, const Helpers& helpers) {
    const bool linked = request.path.starts_with(kPrivateDownload);
    Upload upload = linked ? service.find_linked(request.path.substr(kPrivateDownload.size()))
                           : service.find(request.path.substr(kDownload.size()), basic_login(request, service));
    if (helpers.mirror) helpers.mirror->use(upload.id);
    if (auto sent = sent_to_store(request, upload, helpers.redirects)) return *std::move(sent);
    const uint64_t size = upload.descriptor.size;
    const std::string etag = "\"" + upload.descriptor.sha3 + "\"";
    Response answer = ranged_answer(request, size, etag, std::make_shared<ImageContent>(service.storage(), std::move(upload.descriptor)));
    if (linked || !request.header("Authorization").empty()) answer.headers.emplace_back("Cache-Control", "private");
    return answer;
}

}  // namespace

std::unique_ptr<Exchange> route_pull(const Request& request, Service& service, const PublicUrls& urls, const Helpers& helpers) {
    const std::string& path = request.path;
    Mirror* mirror = helpers.mirror;
    const bool remote = service.storage().remote();
    const auto look_up = mirror ? &waiting_answer : [](std::function<Response()> finish) { return answer(std::move(finish)); };
    if (path.starts_with(kDescriptor))
        return answer([id = path.substr(kDescriptor.size()), &service] { return status(id, service); }, remote);
    if (path == "/v1/image/info") return look_up([&request, &service, &urls, mirror] { return info(request, service, urls, mirror); });
    if (path == "/v1/image/download")
        return look_up([&request, &service, &urls, mirror] { return redirect(request, service, urls, mirror); });
    if (path.starts_with(kDownload)) return answer([&request, &service, helpers] { return download(request, service, helpers); }, remote);
    if (path.starts_with(kLinkStart) && path.ends_with(kLinkEnd) && path.size() > kLinkStart.size() + kLinkEnd.size()) {
        const std::string sha3 = path.substr(kLinkStart.size(), path.size() - kLinkStart.size() - kLinkEnd.size());
        return look_up([sha3, &request, &service, &urls, mirror] { return link_to(sha3, request, service, urls, mirror); });
    }
    return nullptr;
}

}  // namespace registry::server
