#include <fmt/format.h>

#include "lint/lint.h"
#include "registry/server/names.h"
#include "registry/server/page/page.h"
#include "registry/server/page/stored_image.h"

namespace registry::server::page {
namespace {

constexpr size_t kMostPaths = 20;

// The linter has escaped names already, but not for HTML.
std::string finding_item(const lint::Finding& finding) {
    const bool warning = finding.severity == lint::Finding::Severity::warning;
    std::string html = fmt::format("<li><h2><span class=\"{0}\">{1}</span> <code>{2}</code></h2>\n<p>{3}</p>\n",
                                   warning ? "warning" : "note", warning ? "Warning" : "Note", finding.id, escape_html(finding.reason));
    if (!finding.paths.empty()) {
        html += "<ul class=\"paths\">";
        for (size_t i = 0; i < finding.paths.size() && i < kMostPaths; i++)
            html += "<li><code>" + escape_html(finding.paths[i]) + "</code></li>";
        if (finding.paths.size() > kMostPaths) html += "<li>… and " + count(finding.paths.size() - kMostPaths) + " more</li>";
        html += "</ul>\n";
    }
    if (!finding.remedy.empty()) html += "<p class=\"quiet\">Remedy: " + escape_html(finding.remedy) + "</p>\n";
    return html + "</li>\n";
}

}  // namespace

Response checks(const Visit& visit, const Place& place) {
    const TaggedImage shown = find_image(visit, place.name);
    OpenImage opened(visit.service, visit.service.find(shown.id, visit.user));
    Page page{.title = "Checks of " + full_name(shown.name), .body = image_head(shown, "checks")};
    page.body += "<p>What may surprise in a VM, as <code>gvmi lint</code> finds it.</p>\n<ul class=\"findings\">\n";
    opened.look([&](gvmi::SquashfsReader& reader) {
        for (const lint::Finding& finding : lint::lint(reader, opened.image().config, shown.size, {}, {}, OpenImage::kLimits))
            page.body += finding_item(finding);
    });
    page.body += "</ul>\n";
    return respond(visit, page);
}

}  // namespace registry::server::page
