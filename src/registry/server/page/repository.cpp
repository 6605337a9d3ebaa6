#include <fmt/format.h>
#include <fmt/ranges.h>

#include "registry/server/errors.h"
#include "registry/server/names.h"
#include "registry/server/page/page.h"

// Repositories without a tag, and what is kept of the others.
namespace registry::server::page {
namespace {

// "36 hours", "30 days"
std::string time_in_words(Time seconds) {
    constexpr std::pair<Time, const char*> kUnits[] = {{86'400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    for (const auto& [length, name] : kUnits) {
        if (seconds % length == 0) return count_of(static_cast<uint64_t>(seconds / length), name);
    }
    return {};
}

std::string push_line(const Visit& visit, const Name& name) {
    return copied_line("a shell", fmt::format("REGISTRY_URL={} gvmkit-build --push-to {}:1.0 IMAGE",
                                              public_urls(visit.request, visit.urls).https, full_name(name)));
}

}  // namespace

std::string kept_tags(const Visit& visit, const Name& name) {
    const Rules rules = visit.service.metadata().find_rules(name).value_or(Rules{});
    std::vector<std::string> words;
    if (rules.immutable) words.emplace_back("immutable");
    std::vector<std::string> kept;
    if (rules.keep > 0) kept.push_back(fmt::format("the last {}", count(rules.keep)));
    if (rules.keep_younger > 0) kept.push_back("those younger than " + time_in_words(rules.keep_younger));
    if (!kept.empty()) words.push_back(fmt::format("kept: {}", fmt::join(kept, " and ")));
    return fmt::format("{}", fmt::join(words, "; "));
}

std::string empty_repositories(const Visit& visit) {
    constexpr size_t kMostListed = 1000;
    std::string rows;
    for (const std::string& repository : visit.service.metadata().empty_repositories(visit.user, kMostListed))
        rows += "<li>" + link(image_path({visit.user, repository, {}}), visit.user + "/" + repository) + "</li>\n";
    std::string html;
    if (!rows.empty()) html = "<h3>Nothing in them yet</h3>\n<ul class=\"list\">\n" + rows + "</ul>\n";
    return html + fmt::format(
                      "<form class=\"inline\" method=\"post\" action=\"/account/repository\">{}<label for=\"repository\">A new "
                      "repository</label><input id=\"repository\" name=\"repository\" required maxlength=\"128\" "
                      "pattern=\"[A-Za-z0-9._\\-]+\" autocapitalize=\"none\" spellcheck=\"false\"><button>Make it</button></form>\n",
                      visit.form_field());
}

Response make_repository(const Visit& visit, const Form& form) {
    visit.require_user();
    const Name name{.user = visit.user, .repository = field(form, "repository"), .tag = {}};
    check_name(name.repository, "repository");
    if (!visit.service.metadata().make_repository(name)) throw HttpError(http::kConflict, "you have a repository " + full_name(name));
    tell(visit, "repository-created", {{"image", full_name(name)}});
    return see_other(image_path(name));
}

std::optional<Response> empty_repository(const Visit& visit, const Name& name) {
    Metadata& metadata = visit.service.metadata();
    if (visit.user.empty() || name.user != visit.user || !name.tag.empty()) return std::nullopt;
    if (!metadata.tags(name.user, name.repository, visit.user, 0, 1).empty() || !metadata.find_rules(name)) return std::nullopt;
    Page page{.title = full_name(name), .body = {}, .forms = true};
    page.body = fmt::format(
        "<p class=\"above\"><a href=\"/account\">{}</a></p>\n<h1>{}{}</h1>\n<p>Nothing has been pushed here yet. Only you see this "
        "page.</p>\n",
        name.user, name.repository, metadata.is_private(name.user, name.repository) ? kPrivateChip : "");
    if (const std::string kept = kept_tags(visit, name); !kept.empty()) page.body += "<p>Tags: " + kept + "</p>\n";
    page.body += "<h2>Publish an image</h2>\n" + push_line(visit, name) + deletion(visit, name);
    return respond(visit, page);
}

}  // namespace registry::server::page
