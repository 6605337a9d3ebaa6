#include <fmt/format.h>

#include "base/size.h"
#include "registry/server/errors.h"
#include "registry/server/names.h"
#include "registry/server/page/page.h"

namespace registry::server::page {
namespace {

constexpr size_t kOnAPage = 30;

// Where the next page begins: "user/repository".
Name parse_after(const std::string& after) {
    if (after.empty()) return {};
    Name name = parse_name(after);
    name.tag.clear();
    return name;
}

}  // namespace

std::string list_item(const ListedRepository& repository) {
    const TaggedImage& newest = repository.newest;
    const Name name{.user = newest.name.user, .repository = newest.name.repository, .tag = {}};
    const bool many = repository.tags >= ListedRepository::kMostCounted;
    return fmt::format(
        R"(<li><h2><a href="{}">{}/<wbr><b>{}</b></a></h2><p class="facts"><span class="chip">{}</span>{}<span>{}</span><span>{}</span><span>{}</span><span>updated {}</span></p></li>
)",
        image_path(name), name.user, name.repository, newest.name.tag, newest.in_private ? kPrivateChip : "",
        base::format_size(newest.size), many ? "1,000 tags and more" : count_of(repository.tags, "tag"), count_of(newest.uses, "download"),
        date(newest.changed));
}

Response browse(const Visit& visit) {
    constexpr size_t kLongest = 257;  // user/repository
    const std::string wanted = visit.request.query("q").value_or("");
    if (wanted.size() > kLongest) throw HttpError(http::kBadRequest, "no name is so long");
    const Name after = parse_after(visit.request.query("after").value_or(""));
    std::vector<ListedRepository> found = visit.service.metadata().repositories(wanted, visit.user, after, kOnAPage + 1);
    const bool more = found.size() > kOnAPage;
    if (more) found.pop_back();

    Page page{.title = wanted.empty() ? "Images" : "Images with \"" + wanted + "\"", .body = {}, .search = wanted};
    page.body = "<h1>" + text(page.title) + "</h1>\n";
    if (found.empty()) {
        page.body += wanted.empty() && after.user.empty()
                         ? "<div class=\"empty\"><p>Nobody has published an image here yet.</p></div>\n"
                         : "<div class=\"empty\"><p>No image has such a name.</p><p>" + link("/", "All images") + "</p></div>\n";
        return respond(visit, page);
    }
    page.body += "<ul class=\"list\">\n";
    for (const ListedRepository& repository : found)
        page.body += list_item(repository);
    page.body += "</ul>\n";
    if (!more && after.user.empty()) return respond(visit, page);
    const std::string query = wanted.empty() ? "" : "q=" + url_text(wanted) + "&amp;";
    page.body += "<nav class=\"pages\" aria-label=\"Pages\">";
    if (!after.user.empty()) page.body += link(wanted.empty() ? "/" : "/?q=" + url_text(wanted), "First page");
    if (more)
        page.body += link("/?" + query + "after=" + full_name({found.back().newest.name.user, found.back().newest.name.repository, {}}),
                          "Next page");
    page.body += "</nav>\n";
    return respond(visit, page);
}

}  // namespace registry::server::page
