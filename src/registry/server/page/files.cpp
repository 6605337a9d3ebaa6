#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/path_names.h"
#include "base/size.h"
#include "base/untrusted_text.h"
#include "base/utf8.h"
#include "gvmi/mode_text.h"
#include "gvmi/squashfs_tree.h"
#include "registry/server/errors.h"
#include "registry/server/names.h"
#include "registry/server/page/page.h"
#include "registry/server/page/stored_image.h"

namespace registry::server::page {
namespace {

constexpr size_t kEntriesOnAPage = 500;
constexpr uint64_t kLargestListing = 4 << 20;  // bytes
constexpr size_t kShownBytes = 256 << 10;      // of a text

struct Entry {
    std::string name;
    gvmi::File file;
};

// "/image/USER/REPOSITORY:TAG/files/PATH"
std::string file_path(const Name& name, const std::string& path) {
    return image_path(name) + "/files" + (path == "/" ? "" : url_text(path));
}

// The way to a file, each folder a link.
std::string way(const Name& name, const std::string& path) {
    std::string html = "<nav class=\"way\" aria-label=\"Path\"><ol><li>" +
                       (path == "/" ? "<span aria-current=\"page\">/</span>" : link(file_path(name, "/"), "/")) + "</li>";
    std::string so_far;
    for (const std::string& part : base::path_names(path)) {
        so_far += "/" + part;
        html += "<li>" +
                (so_far == path ? "<span aria-current=\"page\">" + text(part) + "</span>" : link(file_path(name, so_far), text(part))) +
                "</li>";
    }
    return html + "</ol></nav>\n";
}

std::string size_text(const gvmi::File& file) {
    if (S_ISREG(file.mode)) return base::format_size(file.size);
    if (S_ISBLK(file.mode) || S_ISCHR(file.mode)) return fmt::format("{}:{}", file.major, file.minor);
    return "";
}

const char* kind_of(const gvmi::File& file) {
    switch (file.mode & S_IFMT) {
        case S_IFDIR:
            return "folder";
        case S_IFLNK:
            return "link";
        case S_IFREG:
            return "file";
        default:
            return "device";
    }
}

std::string shown_target(const gvmi::File& link) {
    constexpr size_t kLongest = 200;
    return text(link.target.substr(0, kLongest)) + (link.target.size() > kLongest ? "…" : "");
}

std::string entry_row(const Name& name, const std::string& folder, const Entry& entry) {
    const std::string path = (folder == "/" ? "" : folder) + "/" + entry.name;
    std::string shown = fmt::format("<a class=\"{}\" href=\"{}\">{}{}</a>", kind_of(entry.file), file_path(name, path), text(entry.name),
                                    S_ISDIR(entry.file.mode) ? "/" : "");
    if (S_ISLNK(entry.file.mode)) shown += " <span class=\"quiet\">→ " + shown_target(entry.file) + "</span>";
    return fmt::format("<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td><code>{}</code></td><td>{}:{}</td></tr>\n", shown,
                       size_text(entry.file), gvmi::mode_text(entry.file.mode), entry.file.uid, entry.file.gid);
}

std::string folder_listing(gvmi::SquashfsReader& reader, const gvmi::File& folder, const Name& name, const std::string& path, size_t skip) {
    if (folder.listing > kLargestListing) return "<p>This folder has too many entries to be shown.</p>\n";
    const std::vector<gvmi::Name> names = reader.list(folder);
    std::vector<Entry> entries;
    for (size_t i = skip; i < std::min(names.size(), skip + kEntriesOnAPage); i++)
        entries.push_back({names[i].name, reader.file(names[i].position)});
    if (names.empty()) return "<div class=\"empty\"><p>This folder is empty.</p></div>\n";
    std::stable_partition(entries.begin(), entries.end(), [](const Entry& entry) { return S_ISDIR(entry.file.mode); });
    std::string html =
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Files\"><table class=\"files\"><thead><tr><th "
        "scope=\"col\">Name</th>"
        "<th scope=\"col\" class=\"number\">Size</th><th scope=\"col\">Mode</th><th scope=\"col\">Owner</th></tr></thead><tbody>\n";
    for (const Entry& entry : entries)
        html += entry_row(name, path, entry);
    html += "</tbody></table></div>\n";
    if (names.size() > kEntriesOnAPage) {
        html += fmt::format("<p class=\"quiet\">{} entries; those from {} on are shown.</p>\n<nav class=\"pages\" aria-label=\"Pages\">",
                            count(names.size()), count(skip + 1));
        if (skip > 0) html += link(file_path(name, path), "First page");
        if (skip + kEntriesOnAPage < names.size())
            html += link(fmt::format("{}?skip={}", file_path(name, path), skip + kEntriesOnAPage), "Next page");
        html += "</nav>\n";
    }
    return html;
}

// Whether bytes are a text for people; a character that is cut at the end does not count.
bool is_text(std::string_view bytes) {
    constexpr size_t kLongestCharacter = 4;
    while (!bytes.empty()) {
        const auto [length, code] = base::first_character(bytes);
        if (length == 0) return bytes.size() < kLongestCharacter;
        if (code == 0) return false;
        bytes.remove_prefix(length);
    }
    return true;
}

// A text with its line numbers. What could disguise a line becomes '?'.
std::string shown_text(std::string_view bytes) {
    std::string numbers;
    std::string lines;
    size_t number = 0;
    while (!bytes.empty()) {
        const size_t end = bytes.find('\n');
        std::string_view line = bytes.substr(0, end);
        bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        numbers.append(std::to_string(++number)).append("\n");
        for (size_t start = 0; start <= line.size();) {  // a tab is a control character, and harmless
            const size_t tab = std::min(line.find('\t', start), line.size());
            const std::string_view part = line.substr(start, tab - start);
            if (start > 0) lines += '\t';
            lines += escape_html(base::printable(part, part.size()));
            start = tab + 1;
        }
        lines += "\n";
    }
    return "<div class=\"text\" tabindex=\"0\" role=\"region\" aria-label=\"Content\"><pre class=\"numbers\" aria-hidden=\"true\">" +
           numbers + "</pre><pre>" + lines + "</pre></div>\n";
}

std::string content(gvmi::SquashfsReader& reader, const gvmi::File& file) {
    if (file.size == 0) return "<div class=\"empty\"><p>This file is empty.</p></div>\n";
    const std::string start = gvmi::read_start(reader, file, kShownBytes);
    if (!is_text(start)) return "<div class=\"empty\"><p>This file is not a text.</p></div>\n";
    std::string html = shown_text(start);
    if (file.size > start.size())
        html = fmt::format("<p class=\"quiet\">The first {} of {}:</p>\n", base::format_size(start.size()), base::format_size(file.size)) +
               html;
    return html;
}

std::string about_file(const gvmi::File& file) {
    return fmt::format("<p class=\"facts\"><span>{}</span><code>{}</code><span>owner {}:{}</span><span>changed {}</span></p>\n",
                       S_ISREG(file.mode) ? exact_size(file.size) : std::string(kind_of(file)), gvmi::mode_text(file.mode), file.uid,
                       file.gid, date(file.mtime));
}

}  // namespace

Response files(const Visit& visit, const Place& place) {
    const TaggedImage shown = find_image(visit, place.name);
    const size_t skip = parse_skip(visit.request);
    OpenImage opened(visit.service, visit.service.find(shown.id, visit.user));
    const std::string path = gvmi::absolute_path(place.rest);
    Page page{.title = (path == "/" ? "Files" : path) + " in " + full_name(shown.name), .body = {}};
    page.body = image_head(shown, "files") + way(shown.name, path);
    opened.look([&](gvmi::SquashfsReader& reader) {
        const std::optional<gvmi::File> entry = gvmi::find(reader, path, false);
        const std::optional<gvmi::File> file = gvmi::find(reader, path);
        if (!entry) throw HttpError(http::kNotFound, "there is no file " + path + " in this image");
        if (S_ISLNK(entry->mode)) page.body += "<p>A link to <code>" + text(entry->target) + "</code>.</p>\n";
        if (!file) {
            page.body += "<p>There is no such file in this image.</p>\n";
        } else if (S_ISDIR(file->mode)) {
            page.body += folder_listing(reader, *file, shown.name, path, skip);
        } else {
            page.body += about_file(*file) + (S_ISREG(file->mode) ? content(reader, *file) : "");
        }
    });
    return respond(visit, page);
}

}  // namespace registry::server::page
