#include "registry/server/page/html.h"

#include <fmt/format.h>

#include <ctime>

#include "base/hash.h"
#include "base/size.h"
#include "base/untrusted_text.h"
#include "registry/server/names.h"
#include "registry/server/page/assets.h"

namespace registry::server::page {
namespace {

// `default-src 'none'`: a browser takes nothing from elsewhere, whatever gets into a page.
constexpr const char* kPolicy =
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri "
    "'none'";

constexpr const char* kIcon =
    R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="32" height="32"><rect width="32" height="32" rx="8" fill="#3346d3"/>)"
    R"(<path d="M16 6l8.7 5v10L16 26l-8.7-5V11z" fill="none" stroke="#fff" stroke-width="2.2" stroke-linejoin="round"/>)"
    R"(<path d="M7.3 11l8.7 5 8.7-5M16 16v10" fill="none" stroke="#fff" stroke-width="2.2" stroke-linejoin="round"/></svg>)";

constexpr const char* kFrame = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="stylesheet" href="/page.css?v={style}">
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<script src="/page.js?v={script}" defer></script>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header class="top"><div class="wide">
<a class="brand" href="/">{icon}<span>gvmkit <b>registry</b></span></a>
<form class="search" role="search" action="/"><label class="unseen" for="q">Search images</label><input id="q" name="q" type="search" placeholder="Search images" value="{search}" autocomplete="off" spellcheck="false" maxlength="257"><button>Search</button></form>
<nav aria-label="Account">{account}</nav>
</div></header>
<main id="main" class="wide" tabindex="-1">
{body}</main>
<footer><div class="wide">Images for VMs on the Golem Network, served by <code>gvmkit-registry</code>. Who publishes an image answers for what is in it.{documents}</div></footer>
<div id="said" class="unseen" role="status"></div>
</body>
</html>
)";

// Names a version of an asset, so that browsers may keep it for good.
std::string version_of(const char* asset) {
    constexpr size_t kDigits = 12;
    return base::sha256_hex(std::as_bytes(std::span(std::string_view(asset)))).substr(0, kDigits);
}

}  // namespace

std::string text(std::string_view untrusted) {
    return escape_html(base::escape(untrusted));
}

std::string url_text(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           std::string_view("-._~/").find(c) != std::string_view::npos;
        if (plain)
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

std::string link(std::string_view path, std::string_view content) {
    return fmt::format(R"(<a href="{}">{}</a>)", path, content);
}

std::string date(Time time) {
    char day[sizeof "2026-01-01"] = "";
    std::tm parts{};
    const time_t seconds = time;
    if (::gmtime_r(&seconds, &parts)) (void)std::strftime(day, sizeof day, "%F", &parts);
    return fmt::format(R"(<time datetime="{0}">{0}</time>)", day);
}

std::string count(uint64_t number) {
    std::string digits = std::to_string(number);
    for (size_t i = digits.size(); i > 3; i -= 3)
        digits.insert(i - 3, 1, ',');
    return digits;
}

std::string exact_size(uint64_t bytes) {
    constexpr uint64_t kKilo = 1024;
    const std::string size = base::format_size(bytes);
    return bytes < kKilo ? size : fmt::format("{} <span class=\"quiet\">({} bytes)</span>", size, count(bytes));
}

std::string count_of(uint64_t number, std::string_view what) {
    return count(number) + " " + std::string(what) + (number == 1 ? "" : "s");
}

std::string copied_line(std::string_view label, std::string_view line) {
    return fmt::format(
        R"(<div class="line"><code tabindex="0">{0}</code><button type="button" class="copy" data-copy="{0}" hidden>Copy<span class="unseen"> the line for {1}</span></button></div>)",
        text(line), text(label));
}

std::string image_path(const Name& name) {
    return "/image/" + full_name(name);  // names are letters, digits and what needs no escape
}

Response respond(const Visit& visit, const Page& page) {
    static const std::string style = version_of(kStyle), script = version_of(kScript);
    const std::string account = visit.user.empty() ? link("/sign-in", "Sign in") : link("/account", visit.user);
    Response response{.status = page.status,
                      .type = "text/html; charset=utf-8",
                      .body = fmt::format(kFrame, fmt::arg("title", text(page.title)), fmt::arg("style", style), fmt::arg("script", script),
                                          fmt::arg("icon", kIcon), fmt::arg("search", text(page.search)), fmt::arg("account", account),
                                          fmt::arg("documents", visit.urls.documents ? " " + link("/docs/", "Documentation") : ""),
                                          fmt::arg("body", page.body)),
                      .headers = {{"Content-Security-Policy", kPolicy},
                                  {"Referrer-Policy", "no-referrer"},
                                  {"Cache-Control", visit.user.empty() && !page.forms ? "no-cache" : "no-store"},
                                  {"Vary", "Cookie"}}};
    if (page.forms) {
        for (auto& header : visit.form_cookie())
            response.headers.push_back(std::move(header));
    }
    return response;
}

std::unique_ptr<Response> find_asset(const std::string& path) {
    const auto asset = [](const char* type, const char* content) {
        return std::make_unique<Response>(
            Response{.type = type, .body = content, .headers = {{"Cache-Control", "public, max-age=31536000, immutable"}}});
    };
    if (path == "/page.css") return asset("text/css; charset=utf-8", kStyle);
    if (path == "/page.js") return asset("text/javascript; charset=utf-8", kScript);
    if (path == "/icon.svg") return asset("image/svg+xml", kIcon);
    return nullptr;
}

}  // namespace registry::server::page
