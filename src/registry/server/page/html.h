// Folder registry/server/page: the registry's page for people. Every page is one answer of HTML, made here; what moves on it is page.js
// alone.
#pragma once

#include <string>
#include <string_view>

#include "registry/server/http.h"
#include "registry/server/page/visit.h"
#include "registry/server/records.h"

namespace registry::server::page {

// Text of a stranger's as it may stand on a page: what is no UTF-8, and what could change the look of what is around it, as \x….
std::string text(std::string_view untrusted);

// A path or a query's value as it may stand in a URL; '/' stays.
std::string url_text(std::string_view text);

// A link; `path` and `content` are HTML already.
std::string link(std::string_view path, std::string_view content);

// "2026-11-28", for people and programs.
std::string date(Time time);

// "12,345"
std::string count(uint64_t number);
// "1.5 MiB (1,572,864 bytes)", as HTML
std::string exact_size(uint64_t bytes);
// "1 tag", "3 tags"
std::string count_of(uint64_t number, std::string_view what);

// A line to copy, with its button; `label` says what it is.
std::string copied_line(std::string_view label, std::string_view line);

// Behind the name of what only its user sees, as HTML.
inline constexpr const char* kPrivateChip = "<span class=\"chip\">private</span>";

// The path of an image's page; without a tag that of the repository.
std::string image_path(const Name& name);

struct Page {
    std::string title;
    std::string body;         // of <main>
    std::string search = {};  // what the search field has
    unsigned status = 200;
    bool forms = false;  // whether there are forms that change something
};

Response respond(const Visit& visit, const Page& page);

// Style, script and icon, by their paths; nothing where it is none of them.
std::unique_ptr<Response> find_asset(const std::string& path);

}  // namespace registry::server::page
