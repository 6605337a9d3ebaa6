#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <optional>

#include "base/json.h"
#include "base/size.h"
#include "base/untrusted_text.h"
#include "http/client.h"
#include "registry/sdk_lines.h"
#include "registry/server/errors.h"
#include "registry/server/names.h"
#include "registry/server/page/page.h"
#include "registry/server/page/stored_image.h"

namespace registry::server::page {
namespace {

constexpr size_t kVersionsOnAPage = 50;
constexpr size_t kMostShown = 200;      // variables, labels, ports
constexpr size_t kLongestValue = 4096;  // bytes

std::string value_text(std::string_view value) {
    const bool cut = value.size() > kLongestValue;
    return text(value.substr(0, kLongestValue)) + (cut ? "…" : "");
}

std::string row(const char* name, const std::string& value) {
    return fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", name, value);
}

std::string words(const std::vector<std::string>& list) {
    std::string all;
    for (size_t i = 0; i < list.size() && i < kMostShown; i++)
        all += (i > 0 ? " <code>" : "<code>") + (list[i].empty() ? "&#39;&#39;" : value_text(list[i])) + "</code>";
    return all + (list.size() > kMostShown ? " …" : "");
}

// A table of names and values with its heading; nothing where it has no rows.
std::string pairs(const char* heading, const std::vector<std::pair<std::string, std::string>>& list) {
    if (list.empty()) return "";
    std::string html = fmt::format(
        "<h3>{0}</h3>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table>"
        "<thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Value</th></tr></thead><tbody>\n",
        heading);
    for (size_t i = 0; i < list.size() && i < kMostShown; i++) {
        html += fmt::format("<tr><th scope=\"row\"><code>{}</code></th><td><code>{}</code></td></tr>\n", value_text(list[i].first),
                            value_text(list[i].second));
    }
    html += "</tbody></table></div>\n";
    if (list.size() > kMostShown) html += "<p class=\"quiet\">" + count(list.size() - kMostShown) + " more are not shown.</p>\n";
    return html;
}

std::vector<std::string> keys_of(const nlohmann::json& config, const char* name) {
    std::vector<std::string> keys;
    const auto found = config.find(name);
    if (found == config.end() || !found->is_object()) return keys;
    for (const auto& [key, _] : found->items())
        keys.push_back(key);
    return keys;
}

// A label's value; empty where there is none.
std::string label_of(const nlohmann::json& config, const char* name) {
    const auto labels = config.find("Labels");
    if (labels == config.end() || !labels->is_object() || !labels->contains(name)) return "";
    return (*labels)[name].get<std::string>();
}

std::string configuration(const gvmi::Config& config) {
    std::string html = "<dl class=\"config\">\n";
    if (!config.entrypoint.empty()) html += row("Entrypoint", words(config.entrypoint));
    if (!config.cmd.empty()) html += row("Command", words(config.cmd));
    html += row("User", config.user.empty() ? "root" : "<code>" + value_text(config.user) + "</code>");
    html += row("Folder", "<code>" + (config.working_dir.empty() ? "/" : value_text(config.working_dir)) + "</code>");
    html += row("Volumes", config.volumes.empty() ? "none" : words(config.volumes));
    if (const auto ports = keys_of(config.json, "ExposedPorts"); !ports.empty()) html += row("Ports", words(ports));
    if (const std::string base = label_of(config.json, "org.opencontainers.image.base.name"); !base.empty())
        html += row("Base", "<code>" + value_text(base) + "</code>");
    html += "</dl>\n";
    std::vector<std::pair<std::string, std::string>> environment, labels;
    for (const std::string& variable : config.env) {
        const size_t equals = variable.find('=');
        environment.emplace_back(variable.substr(0, equals), equals == std::string::npos ? "" : variable.substr(equals + 1));
    }
    for (const std::string& label : keys_of(config.json, "Labels"))
        labels.emplace_back(label, config.json["Labels"][label].get<std::string>());
    return html + pairs("Environment", environment) + pairs("Labels", labels);
}

struct Stored {
    std::optional<gvmi::Image> image;
    std::string problem;  // why there is none, as HTML
};

Stored look_into(Service& service, const Upload& upload) {
    StoredImage stored(service.storage(), upload.descriptor);
    try {
        return {.image = gvmi::read_image(stored.reader(), stored.size(), "it"), .problem = {}};
    } catch (const HttpError& e) {
        return {.image = {}, .problem = text(e.what())};
    } catch (const http::TransientError& e) {
        spdlog::error("{}", e.what());
        return {.image = {}, .problem = "The store does not answer now; try again later."};
    } catch (const base::Error& e) {
        return {.image = {}, .problem = "The configuration cannot be read: " + text(e.what()) + "."};
    }
}

std::string version_row(const TaggedImage& version, const TaggedImage& shown) {
    const bool current = version.name.tag == shown.name.tag;
    return fmt::format(
        "<tr{}><th scope=\"row\"><a href=\"{}\"{}>{}</a></th><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td><td>{}</td></tr>\n",
        current ? " class=\"current\"" : "", image_path(version.name), current ? " aria-current=\"true\"" : "", version.name.tag,
        base::format_size(version.size), date(version.changed), count(version.uses), version.sha3.substr(0, 12),
        current ? ""
                : fmt::format("<a href=\"{}/changes?from={}\">Compare<span class=\"unseen\"> with {}</span></a>", image_path(shown.name),
                              version.name.tag, version.name.tag));
}

std::string versions(const Visit& visit, const TaggedImage& shown, size_t skip) {
    std::vector<TaggedImage> all =
        visit.service.metadata().tags(shown.name.user, shown.name.repository, visit.user, skip, kVersionsOnAPage + 1);
    const bool more = all.size() > kVersionsOnAPage;
    if (more) all.pop_back();
    std::string html =
        "<section aria-labelledby=\"versions\">\n<h2 id=\"versions\">Versions</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
        "aria-label=\"Table of versions\"><table class=\"plain\"><thead><tr><th scope=\"col\">Tag</th><th scope=\"col\">Size</th><th "
        "scope=\"col\">"
        "Updated</th><th scope=\"col\">Downloads</th><th scope=\"col\">Hash</th><th scope=\"col\">Changes</th></tr></thead><tbody>\n";
    for (const TaggedImage& version : all)
        html += version_row(version, shown);
    html += "</tbody></table></div>\n";
    if (more || skip > 0) {
        html += "<nav class=\"pages\" aria-label=\"Pages of versions\">";
        if (skip > 0) html += link(image_path(shown.name) + "#versions", "Newest");
        if (more) html += link(fmt::format("{}?skip={}#versions", image_path(shown.name), skip + kVersionsOnAPage), "Older");
        html += "</nav>\n";
    }
    return html + "</section>\n";
}

std::string use_private(const std::string& url, const TaggedImage& image, const std::string& path) {
    const SdkLines lines = sdk_lines(registry::with_login(url, image.name.user), full_name(image.name), image.sha3);
    std::string html =
        "<section aria-labelledby=\"use\">\n<h2 id=\"use\">Use it</h2>\n<h3>yapapi</h3>\n" + copied_line("yapapi", lines.yapapi);
    html += "<p class=\"quiet\">with an access token of yours in place of <code>TOKEN</code></p>\n";
    const std::string shell = fmt::format("REGISTRY_URL={} gvmi manifest create {}", url, full_name(image.name));
    html += "<h3>golem-js</h3>\n" + copied_line("a shell that makes a manifest", shell) +
            "<p class=\"quiet\">golem-js sends no login. It takes this manifest, which has a link in it.</p>\n";
    html +=
        "<h3>A link</h3>\n" + copied_line("the link", url + path) +
        "<p class=\"quiet\">Whoever has it can download the image, without an account, for some hours. Providers get such a link.</p>\n";
    return html + "<h3>A copy on your machine</h3>\n" + copied_line("a shell", sdk_lines(url, full_name(image.name), image.sha3).pull) +
           "</section>\n";
}

std::string use_it(const std::string& url, const TaggedImage& image) {
    const SdkLines lines = sdk_lines(url, full_name(image.name), image.sha3);
    std::string html =
        "<section aria-labelledby=\"use\">\n<h2 id=\"use\">Use it</h2>\n<h3>yapapi</h3>\n" + copied_line("yapapi", lines.yapapi);
    html += "<h3>golem-js</h3>\n" + copied_line("golem-js", lines.golem_js);
    if (!lines.environment.empty())
        html += "<p class=\"quiet\">with this registry in its environment:</p>\n" + copied_line("the environment", lines.environment);
    return html + "<h3>A copy on your machine</h3>\n" + copied_line("a shell", lines.pull) + "</section>\n";
}

std::string facts(const Visit& visit, const TaggedImage& image, const Stored& stored, const std::string& path) {
    std::string html = "<section class=\"card\" aria-labelledby=\"facts\">\n<h2 id=\"facts\" class=\"unseen\">Facts</h2>\n<dl>\n";
    html += row("Size", exact_size(image.size));
    html += row("Downloads", count(image.uses));
    html += row("Updated", date(image.changed));
    if (const Time expires = visit.service.metadata().tag_expiry(image.name); expires > 0) html += row("Removed at", time_text(expires));
    if (const std::string kept = kept_tags(visit, image.name); !kept.empty()) html += row("Tags", kept);
    if (stored.image) {
        html += row("Compression", text(stored.image->compressor));
        html += row("Inodes", count(stored.image->inodes));
    }
    html += "</dl>\n<h3>Hash <span class=\"quiet\">SHA3-224</span></h3>\n" + copied_line("the hash", image.sha3);
    return html + fmt::format("<p><a class=\"button\" href=\"{}\" download=\"{}-{}.gvmi\">Download</a></p>\n</section>\n", path,
                              image.name.repository, image.name.tag);
}

}  // namespace

TaggedImage find_image(const Visit& visit, const Name& name) {
    Metadata& metadata = visit.service.metadata();
    if (!name.tag.empty()) {
        if (auto found = metadata.find_tagged(name, visit.user)) return *std::move(found);
    } else if (const auto newest = metadata.tags(name.user, name.repository, visit.user, 0, 1); !newest.empty()) {
        return newest.front();
    }
    throw HttpError(http::kNotFound, "there is no image " + full_name(name));
}

std::string image_head(const TaggedImage& image, std::string_view view) {
    const std::string path = image_path(image.name);
    std::string html = fmt::format("<p class=\"above\"><a href=\"/?q={0}/\">{0}</a></p>\n<h1>{1}<span class=\"chip\">{2}</span>{3}</h1>\n",
                                   image.name.user, image.name.repository, image.name.tag, image.in_private ? kPrivateChip : "");
    html += "<nav class=\"views\" aria-label=\"About this image\">";
    constexpr std::pair<std::string_view, std::string_view> kViews[] = {
        {"", "Overview"}, {"files", "Files"}, {"changes", "Changes"}, {"checks", "Checks"}};
    for (const auto& [name, title] : kViews) {
        html += fmt::format("<a href=\"{}{}{}\"{}>{}</a>", path, name.empty() ? "" : "/", name,
                            name == view ? " aria-current=\"page\"" : "", title);
    }
    return html + "</nav>\n";
}

namespace {

// What the image says of itself.
std::string description(const Stored& stored) {
    constexpr size_t kLongest = 300;
    const std::string said = stored.image ? label_of(stored.image->config.json, "org.opencontainers.image.description") : "";
    return said.empty() ? "" : "<p class=\"lead\">" + text(base::printable(said, kLongest)) + "</p>\n";
}

}  // namespace

Response image(const Visit& visit, const Place& place) {
    if (std::optional<Response> empty = empty_repository(visit, place.name)) return *std::move(empty);
    const TaggedImage shown = find_image(visit, place.name);
    const size_t skip = parse_skip(visit.request);
    const Upload upload = visit.service.find(shown.id, visit.user);
    const Stored stored = look_into(visit.service, upload);
    Page page{.title = full_name(shown.name), .body = image_head(shown, "") + description(stored)};
    const std::string url = public_urls(visit.request, visit.urls).https;
    const std::string path = visit.service.download_path(shown.id, visit.user);
    page.body += "<div class=\"columns\">\n<div>\n" + (shown.in_private ? use_private(url, shown, path) : use_it(url, shown));
    page.body += "<section aria-labelledby=\"configuration\">\n<h2 id=\"configuration\">Configuration</h2>\n";
    page.body += stored.image ? configuration(stored.image->config) : "<p>" + stored.problem + "</p>\n";
    page.body += "</section>\n</div>\n<div>\n" + facts(visit, shown, stored, path) + "</div>\n</div>\n" + versions(visit, shown, skip);
    if (shown.name.user == visit.user) {
        page.forms = true;
        page.body += ownership(visit, shown);
    }
    return respond(visit, page);
}

}  // namespace registry::server::page
