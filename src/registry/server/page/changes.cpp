#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "gvmi/diff.h"
#include "registry/server/errors.h"
#include "registry/server/names.h"
#include "registry/server/page/page.h"
#include "registry/server/page/stored_image.h"

namespace registry::server::page {
namespace {

constexpr size_t kMostChanges = 2000;
constexpr size_t kMostPathBytes = 512 << 10;  // of them together
constexpr size_t kLongestJson = 2048;
constexpr size_t kMostCompared = 1000;  // of a list

using Kind = gvmi::Difference::Kind;

// Ends a comparison that has found enough.
struct Enough {};

const char* sign_of(Kind kind) {
    constexpr const char* kSigns[] = {"+", "−", "±"};
    return kSigns[static_cast<size_t>(kind)];
}

const char* name_of(Kind kind) {
    constexpr const char* kNames[] = {"added", "removed", "changed"};
    return kNames[static_cast<size_t>(kind)];
}

std::string change_row(const gvmi::Difference& change, const Name& older, const Name& newer) {
    std::string what;
    for (const std::string& part : change.what)
        what += (what.empty() ? "" : ", ") + part;
    const Name& where = change.kind == Kind::removed ? older : newer;
    return fmt::format(
        "<tr class=\"{0}\"><td><span aria-hidden=\"true\">{1}</span><span class=\"unseen\">{0}</span></td><th scope=\"row\"><a "
        "href=\"{2}/files{3}\"><code>{4}</code></a></th><td>{5}</td></tr>\n",
        name_of(change.kind), sign_of(change.kind), image_path(where), url_text(change.path), text(change.path), what);
}

// What a list or an object has and another one does not; all of it where they differ otherwise.
nlohmann::json differing(const nlohmann::json& value, const nlohmann::json& other) {
    nlohmann::json rest = value;
    if (value.is_array() && other.is_array() && value.size() <= kMostCompared && other.size() <= kMostCompared) {
        rest.erase(
            std::remove_if(rest.begin(), rest.end(),
                           [&other](const nlohmann::json& one) { return std::find(other.begin(), other.end(), one) != other.end(); }),
            rest.end());
    } else if (value.is_object() && other.is_object()) {
        for (const auto& [key, one] : value.items()) {
            if (other.contains(key) && other[key] == one) rest.erase(key);
        }
    }
    return rest;
}

std::string json_text(const nlohmann::json& value) {
    if (value.is_null() || (value.is_structured() && value.empty())) return "<span class=\"quiet\">none</span>";
    const std::string all = base::to_text(value);
    return "<code>" + text(all.substr(0, kLongestJson)) + (all.size() > kLongestJson ? "…" : "") + "</code>";
}

// The keys of the configuration that differ.
std::string configuration_changes(const nlohmann::json& a, const nlohmann::json& b) {
    constexpr int kMostKeys = 100;
    nlohmann::json keys = a;
    keys.update(b);
    std::string rows;
    int found = 0;
    for (const auto& [key, _] : keys.items()) {
        const nlohmann::json before = a.value(key, nlohmann::json());
        const nlohmann::json after = b.value(key, nlohmann::json());
        if (before == after || ++found > kMostKeys) continue;
        const nlohmann::json old_only = differing(before, after);
        const nlohmann::json new_only = differing(after, before);
        const bool same_items = old_only.empty() && new_only.empty();  // in another order
        rows += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>\n", text(key.substr(0, kLongestJson)),
                            json_text(same_items ? before : old_only), json_text(same_items ? after : new_only));
    }
    if (rows.empty()) return "";
    return "<section aria-labelledby=\"settings\">\n<h2 id=\"settings\">Configuration</h2>\n<div class=\"scroll\" tabindex=\"0\" "
           "role=\"region\" "
           "aria-label=\"Changes of the configuration\"><table><thead><tr><th scope=\"col\">Key</th><th scope=\"col\">Before</th><th "
           "scope=\"col\">After</th></tr></thead><tbody>\n" +
           rows + "</tbody></table></div>\n</section>\n";
}

// Images have the same bytes where they have the same chunks.
bool same_chunks(const Descriptor& a, const Descriptor& b, uint64_t position, uint64_t size) {
    if (size == 0) return true;
    if (a.chunk_size != b.chunk_size || position >= a.size || size > a.size - position) return false;
    const auto last = static_cast<size_t>((position + size - 1) / a.chunk_size);
    for (auto i = static_cast<size_t>(position / a.chunk_size); i <= last; i++) {
        if (i >= b.chunks.size() || a.chunks[i] != b.chunks[i]) return false;
    }
    return true;
}

struct Found {
    std::vector<gvmi::Difference> changes;
    bool all = true;
};

Found compare(OpenImage& older, OpenImage& newer) {
    Found found;
    const gvmi::KnownSame known_same = [&](uint64_t position, uint64_t size) {
        return same_chunks(older.descriptor(), newer.descriptor(), position, size);
    };
    size_t path_bytes = 0;
    const auto take = [&](const gvmi::Difference& change) {
        path_bytes += change.path.size();
        if (found.changes.size() == kMostChanges || path_bytes > kMostPathBytes) throw Enough();
        found.changes.push_back(change);
    };
    older.look([&](gvmi::SquashfsReader& a) {
        newer.look([&](gvmi::SquashfsReader& b) {
            try {
                gvmi::diff(a, b, OpenImage::kLimits, take, known_same);
            } catch (const Enough&) {
                found.all = false;
            }
        });
    });
    return found;
}

std::string file_changes(const Found& found, const Name& older, const Name& newer) {
    std::string html = "<section aria-labelledby=\"changed\">\n<h2 id=\"changed\">Files</h2>\n";
    if (found.changes.empty()) return html + "<p>No file has changed.</p>\n</section>\n";
    const auto how_many = [&](Kind kind) {
        return count(static_cast<uint64_t>(std::count_if(found.changes.begin(), found.changes.end(),
                                                         [kind](const gvmi::Difference& change) { return change.kind == kind; })));
    };
    html += fmt::format("<p>{}{} added, {} removed, {} changed.</p>\n", found.all ? "" : "At least: ", how_many(Kind::added),
                        how_many(Kind::removed), how_many(Kind::changed));
    html +=
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Changed files\"><table class=\"changes\"><thead><tr><th "
        "scope=\"col\"><span class=\"unseen\">Kind</span></th><th scope=\"col\">Path</th><th scope=\"col\">What changed</th></tr></thead>"
        "<tbody>\n";
    for (const gvmi::Difference& change : found.changes)
        html += change_row(change, older, newer);
    return html + "</tbody></table></div>\n" + (found.all ? "" : "<p class=\"quiet\">There are more; `gvmi diff` prints all.</p>\n") +
           "</section>\n";
}

// To choose what to compare with.
std::string choice(const TaggedImage& shown, const std::vector<TaggedImage>& others, const std::string& chosen) {
    std::string html = fmt::format(
        "<form class=\"inline\" action=\"{}/changes\"><label for=\"from\">Changes since</label> <select id=\"from\" "
        "name=\"from\">",
        image_path(shown.name));
    for (const TaggedImage& other : others) {
        if (other.name.tag != shown.name.tag)
            html += fmt::format("<option{}>{}</option>", other.name.tag == chosen ? " selected" : "", other.name.tag);
    }
    return html + "</select> <button class=\"light\">Compare</button></form>\n";
}

}  // namespace

Response changes(const Visit& visit, const Place& place) {
    constexpr size_t kMostVersions = 200;
    const TaggedImage shown = find_image(visit, place.name);
    const std::vector<TaggedImage> all =
        visit.service.metadata().tags(shown.name.user, shown.name.repository, visit.user, 0, kMostVersions);
    Page page{.title = "Changes in " + full_name(shown.name), .body = image_head(shown, "changes")};
    std::string from = visit.request.query("from").value_or("");
    if (from.empty()) {  // the one before it, or any other
        const auto itself = std::find_if(all.begin(), all.end(), [&](const TaggedImage& one) { return one.name.tag == shown.name.tag; });
        if (itself != all.end() && itself + 1 != all.end()) {
            from = (itself + 1)->name.tag;
        } else if (!all.empty() && all.front().name.tag != shown.name.tag) {
            from = all.front().name.tag;
        }
    }
    if (from.empty()) {
        page.body += "<div class=\"empty\"><p>This image has no other version to compare with.</p></div>\n";
        return respond(visit, page);
    }
    const TaggedImage before = find_image(visit, {.user = shown.name.user, .repository = shown.name.repository, .tag = from});
    page.title = fmt::format("Changes from {} to {}", full_name(before.name), shown.name.tag);
    page.body += choice(shown, all, from);
    if (before.id == shown.id) {
        page.body += "<p>Both tags name the same image.</p>\n";
        return respond(visit, page);
    }
    OpenImage older(visit.service, visit.service.find(before.id, visit.user));
    OpenImage newer(visit.service, visit.service.find(shown.id, visit.user));
    page.body += configuration_changes(older.image().config.json, newer.image().config.json);
    page.body += file_changes(compare(older, newer), before.name, shown.name);
    return respond(visit, page);
}

}  // namespace registry::server::page
