#include <fmt/format.h>

#include <ctime>

#include "base/size.h"
#include "registry/server/api.h"
#include "registry/server/errors.h"
#include "registry/server/names.h"

namespace registry::server {
namespace {

constexpr size_t kMaxResults = 200;
constexpr std::string_view kImagePath = "/image/";
constexpr const char* kStyle =
    "body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3em .8em .3em 0;border-bottom:1px solid #ddd}"
    "code,pre{font:14px monospace;overflow-wrap:anywhere;white-space:pre-wrap}pre{background:#f4f4f4;padding:.8em}";

Response page(const std::string& title, const std::string& body) {
    return {.type = "text/html; charset=utf-8",
            .body = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + escape_html(title) +
                    "</title><link rel=\"stylesheet\" href=\"/style.css\"></head><body>\n<h1>" + escape_html(title) + "</h1>\n" + body +
                    "</body></html>\n",
            .headers = {{"Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'"},
                        {"Referrer-Policy", "no-referrer"}}};
}

std::string day(Time time) {
    char text[sizeof "2026-01-01"];
    std::tm parts{};
    const time_t seconds = time;
    (void)std::strftime(text, sizeof text, "%F", ::gmtime_r(&seconds, &parts));
    return text;
}

std::string row(const TaggedImage& image, const std::string& name) {
    return "<tr><td>" + name + "</td><td>" + base::format_size(image.size) + "</td><td>" + day(image.changed) + "</td><td>" +
           std::to_string(image.uses) + "</td><td><code>" + escape_html(image.sha3) + "</code></td></tr>\n";
}

constexpr const char* kTableHead = "<table><tr><th>image</th><th>size</th><th>set</th><th>uses</th><th>hash</th></tr>\n";

Response search(const Request& request, Service& service) {
    const std::string text = request.query("q").value_or("");
    std::string body = "<form action=\"/\"><input name=\"q\" value=\"" + escape_html(text) + "\"> <button>Search</button></form>\n";
    const std::vector<TaggedImage> images = service.metadata().search(text, kMaxResults);
    if (images.empty()) return page("Images", body + "<p>There is no such image.</p>\n");
    body += kTableHead;
    for (const TaggedImage& image : images) {
        const std::string repository = escape_html(image.name.user) + "/" + escape_html(image.name.repository);
        body += row(image, fmt::format("<a href=\"/image/{0}\">{0}</a>:{1}", repository, escape_html(image.name.tag)));
    }
    body += "</table>\n";
    if (images.size() == kMaxResults) body += "<p>There are more.</p>\n";
    return page("Images", body);
}

Response repository(const std::string& path, Service& service) {
    const Name name = parse_name(path);
    const std::vector<TaggedImage> images = service.metadata().tags(name.user, name.repository);
    if (images.empty()) throw HttpError(http::kNotFound, "there is no such repository");
    const std::string title = name.user + "/" + name.repository;
    const std::string tag = title + ":" + images.front().name.tag;
    std::string body = "<p><a href=\"/\">All images</a></p>\n";
    body += kTableHead;
    for (const TaggedImage& image : images)
        body += row(image, escape_html(image.name.tag));
    body += "</table>\n<h2>Use it</h2>\n<pre>image_tag=\"" + escape_html(tag) + "\"                  # yapapi: vm.repo\nimageTag: \"" +
            escape_html(tag) + "\"                  // golem-js</pre>\n";
    return page(title, body);
}

}  // namespace

std::unique_ptr<Exchange> route_web(const Request& request, Service& service) {
    if (request.path == "/") return answer([&request, &service] { return search(request, service); });
    if (request.path == "/style.css") return answer([] { return Response{.type = "text/css", .body = kStyle}; });
    if (request.path.starts_with(kImagePath))
        return answer([path = request.path.substr(kImagePath.size()), &service] { return repository(path, service); });
    return nullptr;
}

}  // namespace registry::server
