#include <fmt/format.h>

#include <charconv>
#include <ctime>

#include "base/size.h"
#include "registry/server/errors.h"
#include "registry/server/form_exchange.h"
#include "registry/server/names.h"
#include "registry/server/page/page.h"
#include "registry/server/tokens.h"

namespace registry::server::page {

Response see_other(const std::string& path) {
    return {.status = http::kSeeOther, .body = path + "\n", .headers = {{"Location", path}, {"Cache-Control", "no-store"}}};
}

void tell(const Visit& visit, const char* event, const nlohmann::ordered_json& more) {
    nlohmann::ordered_json details = {{"user", visit.user}, {"address", visit.request.client()}};
    details.update(more);
    visit.service.tell(event, std::move(details));
}

std::string field(const Form& form, const char* name) {
    return form.has(name) ? form.field(name) : "";
}

namespace {

constexpr size_t kLongestNote = 100;
constexpr size_t kMostTokens = 100;
constexpr size_t kMostListed = 1000;

using Action = std::function<Response(const Visit& visit, const Form& form)>;

// A form that a page of ours has sent.
class Posted : public FormExchange {
public:
    Posted(const Request& request, Service& service, const PublicUrls& urls, Action action)
        : FormExchange(request), request_(request), service_(service), urls_(urls), action_(std::move(action)) {}

    Response answer(const Form& form) override {
        return as_page(request_, service_, urls_, [&](const Visit& visit) {
            visit.check(form);
            return action_(visit, form);
        });
    }

private:
    const Request& request_;
    Service& service_;
    const PublicUrls& urls_;
    Action action_;
};

Response sign_in_page(const Visit& visit, const std::string& problem, const std::string& user) {
    Page page{.title = "Sign in", .body = {}, .forms = true};
    page.body = "<div class=\"narrow\">\n<h1>Sign in</h1>\n";
    if (!problem.empty()) page.body += "<p class=\"problem\" role=\"alert\">" + escape_html(problem) + "</p>\n";
    page.body += fmt::format(
        R"(<form class="card" method="post" action="/sign-in">{}
<p><label for="user">User name</label><input id="user" name="user" value="{}" autocomplete="username" required maxlength="128" autocapitalize="none" spellcheck="false"></p>
<p><label for="token">Access token</label><input id="token" name="token" type="password" autocomplete="current-password" required maxlength="200"></p>
<p><button>Sign in</button></p>
</form>
<p class="quiet">The token is what <code>gvmkit-build --login</code> asks for; whoever runs this registry gives you the first one. You stay signed in for twelve hours, or until the browser ends or the token is revoked.</p>
</div>
)",
        visit.form_field(), text(user));
    if (!problem.empty()) page.status = http::kUnauthorized;
    return respond(visit, page);
}

Response post_sign_in(const Visit& visit, const Form& form) {
    const std::string user = field(form, "user");
    const std::optional<std::string> secret = visit.service.sign_in(user, field(form, "token"), visit.request.client());
    if (!secret) return sign_in_page(visit, "Wrong user name or token.", user.substr(0, kLongestNote));
    Response response = see_other("/account");
    response.headers.push_back(visit.session_cookie(*secret));
    return response;
}

Response post_sign_out(const Visit& visit, const Form&) {
    visit.service.sign_out(visit.session());
    if (!visit.user.empty()) tell(visit, "sign-out");
    Response response = see_other("/");
    response.headers.push_back(visit.no_session_cookie());
    return response;
}

std::string token_row(const Visit& visit, const Token& token) {
    return fmt::format(
        "<tr><th scope=\"row\">{0}</th><td>{1}</td><td>{2}</td><td><form method=\"post\" action=\"/account/revoke\">{3}<input "
        "type=\"hidden\" name=\"id\" value=\"{0}\"><button class=\"light\">Revoke<span class=\"unseen\"> token {0}</span></button></form>"
        "</td></tr>\n",
        token.id, token.note.empty() ? "<span class=\"quiet\">no note</span>" : text(token.note), date(token.created), visit.form_field());
}

std::string tokens_section(const Visit& visit, const std::string& fresh) {
    std::string html = "<section aria-labelledby=\"tokens\">\n<h2 id=\"tokens\">Access tokens</h2>\n";
    if (!fresh.empty()) {
        html += "<div class=\"good\" role=\"status\"><p><b>Your new token.</b> Copy it now: it cannot be shown again.</p>\n" +
                copied_line("the token", fresh) + "</div>\n";
    }
    html +=
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table of tokens\"><table><thead><tr><th "
        "scope=\"col\">Number</th>"
        "<th scope=\"col\">For</th><th scope=\"col\">Made</th><th scope=\"col\"><span class=\"unseen\">Revoke</span></th></tr></thead>"
        "<tbody>\n";
    for (const Token& token : visit.service.metadata().tokens(visit.user))
        html += token_row(visit, token);
    return html +
           fmt::format(
               "</tbody></table></div>\n<form class=\"inline\" method=\"post\" action=\"/account/token\">{}<label for=\"note\">What it is "
               "for</label><input id=\"note\" name=\"note\" maxlength=\"{}\" placeholder=\"CI\"><button>Make a token</button></form>\n"
               "</section>\n",
               visit.form_field(), kLongestNote);
}

std::string images_section(const Visit& visit) {
    std::string html = "<section aria-labelledby=\"mine\">\n<h2 id=\"mine\">Your images</h2>\n";
    std::string rows;
    for (const ListedRepository& repository :
         visit.service.metadata().repositories(visit.user + "/", visit.user, {visit.user, "", ""}, kMostListed)) {
        if (repository.newest.name.user == visit.user) rows += list_item(repository);
    }
    html += rows.empty() ? "<p>None yet.</p>\n" : "<ul class=\"list\">\n" + rows + "</ul>\n";
    const std::string url = public_urls(visit.request, visit.urls).https;
    return html + empty_repositories(visit) + "<h3>Publish one</h3>\n" +
           copied_line("a shell", fmt::format("REGISTRY_URL={} gvmkit-build --push-to {}/NAME:1.0 IMAGE", url, visit.user)) +
           "</section>\n";
}

Response account_page(const Visit& visit, const std::string& fresh) {
    visit.require_user();
    const User user = visit.service.find_user(visit.user);
    const uint64_t quota = std::max<uint64_t>(user.quota.value_or(0), 1);
    Page page{.title = visit.user, .body = {}, .forms = true};
    page.body = fmt::format(
        "<div class=\"heading\"><h1>{}</h1><form method=\"post\" action=\"/sign-out\">{}<button class=\"light\">Sign "
        "out</button></form></div>\n"
        "<section aria-labelledby=\"quota\">\n<h2 id=\"quota\">Quota</h2>\n<p><meter min=\"0\" max=\"1\" value=\"{:.4f}\" "
        "aria-labelledby=\"quota\"></meter> {} of {} used</p>\n</section>\n",
        visit.user, visit.form_field(), std::min(1.0, static_cast<double>(user.used) / static_cast<double>(quota)),
        base::format_size(user.used), base::format_size(user.quota.value_or(0)));
    page.body += tokens_section(visit, fresh) + images_section(visit);
    return respond(visit, page);
}

Response make_token(const Visit& visit, const Form& form) {
    visit.require_user();
    const std::string note = field(form, "note");
    if (note.size() > kLongestNote) throw HttpError(http::kBadRequest, "a note has at most 100 bytes");
    if (visit.service.metadata().tokens(visit.user).size() >= kMostTokens)
        throw HttpError(http::kBadRequest, "you have 100 tokens; revoke one first");
    const std::string token = new_token();
    visit.service.metadata().add_token(visit.user, token_hash(token), note, std::time(nullptr));
    tell(visit, "token-created", {{"account", visit.user}, {"note", note}});
    return account_page(visit, token);
}

Response revoke_token(const Visit& visit, const Form& form) {
    visit.require_user();
    const std::string number = field(form, "id");
    int64_t id = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), id);
    if (error != std::errc() || end != number.data() + number.size() || !visit.service.metadata().remove_token(visit.user, id))
        throw HttpError(http::kNotFound, "you have no such token");
    tell(visit, "token-revoked", {{"account", visit.user}, {"token", id}});
    return see_other("/account");
}

Response set_privacy(const Visit& visit, const Form& form) {
    visit.require_user();
    const Name name = parse_name(field(form, "name"));
    if (name.user != visit.user) throw HttpError(http::kForbidden, "this is not yours");
    const std::string value = field(form, "private");
    if (value != "true" && value != "false") throw HttpError(http::kBadRequest, "private is neither true nor false");
    if (!visit.service.metadata().find_rules(name))
        throw HttpError(http::kNotFound, "there is no repository " + name.user + "/" + name.repository);
    visit.service.metadata().set_private(name.user, name.repository, value == "true");
    tell(visit, "repository-set", {{"image", full_name({name.user, name.repository, {}})}, {"private", value == "true"}});
    return see_other(image_path({name.user, name.repository, {}}));
}

Response delete_tags(const Visit& visit, const Form& form) {
    visit.require_user();
    const std::string given = field(form, "name");
    Name name = parse_name(given);
    if (given.find(':') == std::string::npos) name.tag.clear();
    if (name.user != visit.user) throw HttpError(http::kForbidden, "this is not yours");
    if (visit.service.metadata().remove_tags(name) == 0) throw HttpError(http::kNotFound, "there is no image " + given);
    tell(visit, "delete", {{"image", full_name(name)}});
    name.tag.clear();
    const bool more = !visit.service.metadata().tags(name.user, name.repository, visit.user, 0, 1).empty();
    return see_other(more ? image_path(name) : "/account");
}

std::string privacy(const Visit& visit, const TaggedImage& image) {
    return fmt::format(
        "<details class=\"choice\"><summary>{0}…</summary>\n<p>{1}</p>\n<form method=\"post\" action=\"/account/privacy\">{2}<input "
        "type=\"hidden\" "
        "name=\"name\" value=\"{3}/{4}\"><input type=\"hidden\" name=\"private\" value=\"{5}\"><button>{0}</button></form>\n</details>\n",
        image.in_private ? "Make public" : "Make private",
        image.in_private ? "Everybody will see this repository, and can download its images. The links to them end."
                         : "Only you will see this repository. Who has a link can download an image until the link is too old. What others "
                           "have published themselves stays public.",
        visit.form_field(), image.name.user, image.name.repository, !image.in_private);
}

}  // namespace

Response account(const Visit& visit) {
    return visit.user.empty() ? see_other("/sign-in") : account_page(visit, "");
}

Response sign_in(const Visit& visit) {
    return visit.user.empty() ? sign_in_page(visit, "", "") : see_other("/account");
}

std::string deletion(const Visit& visit, const Name& name) {
    const auto form = [&visit](const Name& what) {
        return fmt::format(
            "<form method=\"post\" action=\"/account/delete\">{0}<input type=\"hidden\" name=\"name\" value=\"{1}\"><button "
            "class=\"danger\">Delete {1}</button></form>\n",
            visit.form_field(), full_name(what));
    };
    return "<details class=\"choice deletion\"><summary>Delete…</summary>\n<p>A name that is deleted is gone at once, for everybody. It "
           "cannot be "
           "brought back but by another push.</p>\n" +
           form(name) + (name.tag.empty() ? "" : "<p>With all its tags:</p>\n" + form({name.user, name.repository, {}})) + "</details>\n";
}

std::string ownership(const Visit& visit, const TaggedImage& image) {
    return privacy(visit, image) + deletion(visit, image.name);
}

std::unique_ptr<Exchange> route_posted(const Request& request, Service& service, const PublicUrls& urls) {
    constexpr std::pair<std::string_view, Response (*)(const Visit&, const Form&)> kActions[] = {{"/sign-in", post_sign_in},
                                                                                                 {"/sign-out", post_sign_out},
                                                                                                 {"/account/token", make_token},
                                                                                                 {"/account/revoke", revoke_token},
                                                                                                 {"/account/privacy", set_privacy},
                                                                                                 {"/account/delete", delete_tags},
                                                                                                 {"/account/repository", make_repository}};
    for (const auto& [path, action] : kActions) {
        if (request.path == path) return std::make_unique<Posted>(request, service, urls, action);
    }
    return nullptr;
}

}  // namespace registry::server::page
