#include "registry/manifest.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <map>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/hex.h"
#include "base/untrusted_text.h"
#include "registry/descriptor.h"

namespace registry {
namespace {

using Json = nlohmann::ordered_json;
using Check = std::function<void(const Json& value, const std::string& place)>;

constexpr std::array<std::string_view, 4> kProtocols = {"http", "https", "tcp", "udp"};

[[noreturn]] void fail(const std::string& place, const std::string& reason) {
    throw base::Error((place.empty() ? "the manifest" : place) + ": " + reason);
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

void check_text(const Json& value, const std::string& place) {
    if (!value.is_string()) fail(place, "not a text");
}

void check_name(const Json& value, const std::string& place) {
    check_text(value, place);
    if (value.get_ref<const std::string&>().empty()) fail(place, "empty");
}

// MAJOR.MINOR.PATCH, then -PRE and +BUILD of letters, digits, dots and dashes.
void check_version(const Json& value, const std::string& place) {
    check_text(value, place);
    const std::string_view text = value.get_ref<const std::string&>();
    const std::string_view core = text.substr(0, text.find_first_of("-+"));
    bool good = !core.ends_with('.') && std::count(core.begin(), core.end(), '.') == 2;
    std::string_view rest = core;
    while (good && !rest.empty()) {
        const std::string_view number = rest.substr(0, rest.find('.'));
        good = !number.empty() && std::all_of(number.begin(), number.end(), is_digit) && (number.size() == 1 || number[0] != '0');
        rest.remove_prefix(std::min(rest.size(), number.size() + 1));
    }
    const std::string_view suffix = text.substr(core.size());
    const auto allowed = [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '-' || c == '+'; };
    good = good && std::all_of(suffix.begin(), suffix.end(), allowed) && suffix.size() != 1 &&
           std::count(suffix.begin(), suffix.end(), '+') <= 1;
    if (!good) fail(place, base::quote(text) + " is not a semantic version such as 1.0.0");
}

// RFC 3339, as in 2026-01-31T23:59:59.000Z or with +01:00.
std::optional<std::time_t> parse_time(const std::string& text) {
    constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:dd";
    if (text.size() <= kForm.size()) return {};
    for (size_t i = 0; i < kForm.size(); i++) {
        if (kForm[i] == 'd' ? !is_digit(text[i]) : text[i] != kForm[i]) return {};
    }
    const auto number = [&text](size_t start, size_t digits) { return std::stoi(text.substr(start, digits)); };
    std::tm time{};
    time.tm_year = number(0, 4) - 1900;
    time.tm_mon = number(5, 2) - 1;
    time.tm_mday = number(8, 2);
    time.tm_hour = number(11, 2);
    time.tm_min = number(14, 2);
    time.tm_sec = number(17, 2);
    std::string_view rest = std::string_view(text).substr(19);
    if (rest.starts_with('.')) {
        const size_t end = rest.find_first_not_of("0123456789", 1);
        if (end == 1 || end == std::string_view::npos) return {};
        rest.remove_prefix(end);
    }
    std::time_t hours = 0;
    std::time_t minutes = 0;
    if (rest != "Z") {
        const bool form = rest.size() == 6 && (rest[0] == '+' || rest[0] == '-') && is_digit(rest[1]) && is_digit(rest[2]) &&
                          rest[3] == ':' && is_digit(rest[4]) && is_digit(rest[5]);
        if (!form) return {};
        const std::time_t sign = rest[0] == '-' ? -1 : 1;
        hours = sign * std::stoi(std::string(rest.substr(1, 2)));
        minutes = sign * std::stoi(std::string(rest.substr(4, 2)));
    }
    const bool in_range = time.tm_mon >= 0 && time.tm_mon <= 11 && time.tm_mday >= 1 && time.tm_mday <= 31 && time.tm_hour <= 23 &&
                          time.tm_min <= 59 && time.tm_sec <= 60;
    if (!in_range) return {};
    return ::timegm(&time) - hours * 3600 - minutes * 60;
}

void check_time(const Json& value, const std::string& place) {
    check_text(value, place);
    const auto& text = value.get_ref<const std::string&>();
    if (!parse_time(text)) fail(place, base::quote(text) + " is not a time such as 2026-01-31T23:59:59Z");
}

std::string time_text(std::time_t time) {
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    char text[64];
    (void)std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

// SCHEME://HOST…; what the host may contain is left to the resolver.
void check_url(const Json& value, const std::string& place) {
    check_text(value, place);
    const auto& text = value.get_ref<const std::string&>();
    const size_t colon = text.find("://");
    const bool scheme = colon != std::string::npos && colon > 0 &&
                        std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon),
                                    [](unsigned char c) { return std::isalnum(c) || c == '+' || c == '-' || c == '.'; });
    const auto visible = [](unsigned char c) { return c > 0x20 && c != 0x7f; };
    if (!scheme || text.size() == colon + 3 || text[colon + 3] == '/' || !std::all_of(text.begin(), text.end(), visible)) {
        fail(place, base::quote(text) + " is not a URL");
    }
}

void check_hash(const Json& value, const std::string& place) {
    check_text(value, place);
    const auto& text = value.get_ref<const std::string&>();
    if (!text.starts_with("sha3:") || !base::is_hex(std::string_view(text).substr(5), 56)) {
        fail(place, base::quote(text) + " is not sha3: and 56 hex digits in lower case");
    }
}

// An object that has all of `required` and otherwise only `optional` keys; each value passes its check.
void check_object(const Json& value, const std::string& place, const std::map<std::string, Check>& required,
                  const std::map<std::string, Check>& optional) {
    if (!value.is_object()) fail(place, "not an object");
    for (const auto& [key, check] : required) {
        if (!value.contains(key)) fail(place, "\"" + key + "\" is missing");
    }
    for (const auto& [key, part] : value.items()) {
        const Check* check = required.contains(key) ? &required.at(key) : optional.contains(key) ? &optional.at(key) : nullptr;
        if (!check) fail(place, base::quote(key) + " is unknown");
        std::string inner = place;
        inner.append(place.empty() ? "" : ".").append(key);
        (*check)(part, inner);
    }
}

Check list_of(Check check, size_t least = 0) {
    return [check = std::move(check), least](const Json& value, const std::string& place) {
        if (!value.is_array()) fail(place, "not a list");
        if (value.size() < least) fail(place, "empty");
        for (size_t i = 0; i < value.size(); i++)
            check(value[i], place + "[" + std::to_string(i) + "]");
    };
}

Check one_of(std::vector<std::string_view> allowed) {
    return [allowed = std::move(allowed)](const Json& value, const std::string& place) {
        check_text(value, place);
        const auto& text = value.get_ref<const std::string&>();
        if (std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return;
        std::string names;
        for (const std::string_view name : allowed)
            names.append(names.empty() ? "" : ", ").append(name);
        fail(place, base::quote(text) + " is not one of " + names);
    };
}

void check_payload(const Json& value, const std::string& place) {
    const Check platform = [](const Json& v, const std::string& p) {
        check_object(v, p, {{"arch", check_name}, {"os", check_name}}, {{"osVersion", check_text}});
    };
    check_object(value, place, {{"urls", list_of(check_url, 1)}, {"hash", check_hash}}, {{"platform", platform}});
}

void check_command(const Json& value, const std::string& place) {
    if (!value.is_string() && !value.is_object()) fail(place, "neither a text nor an object");
}

void check_out(const Json& value, const std::string& place) {
    const Check yes = [](const Json& v, const std::string& p) {
        if (v != true) fail(p, "not true");
    };
    const Check unrestricted = [yes](const Json& v, const std::string& p) { check_object(v, p, {{"urls", yes}}, {}); };
    check_object(value, place, {},
                 {{"protocols", list_of(one_of({kProtocols.begin(), kProtocols.end()}))},
                  {"urls", list_of(check_url)},
                  {"unrestricted", unrestricted}});
    if (value.contains("urls") == value.contains("unrestricted")) fail(place, "it needs \"urls\" or \"unrestricted\", and not both");
}

void check_comp_manifest(const Json& value, const std::string& place) {
    const Check script = [](const Json& v, const std::string& p) {
        check_object(v, p, {{"commands", list_of(check_command)}}, {{"match", one_of({"strict", "regex"})}});
    };
    const Check inet = [](const Json& v, const std::string& p) { check_object(v, p, {}, {{"out", check_out}}); };
    const Check net = [inet](const Json& v, const std::string& p) { check_object(v, p, {}, {{"inet", inet}}); };
    check_object(value, place, {{"version", check_version}}, {{"script", script}, {"net", net}});
}

void check_metadata(const Json& value, const std::string& place) {
    check_object(value, place, {{"name", check_name}},
                 {{"description", check_text}, {"version", check_version}, {"authors", list_of(check_text)}, {"homepage", check_text}});
}

}  // namespace

void check_manifest(const Json& manifest) {
    check_object(manifest, "",
                 {{"version", check_version}, {"createdAt", check_time}, {"expiresAt", check_time}, {"payload", list_of(check_payload, 1)}},
                 {{"metadata", check_metadata}, {"compManifest", check_comp_manifest}});
    if (*parse_time(manifest["expiresAt"]) <= *parse_time(manifest["createdAt"])) fail("expiresAt", "not after createdAt");
}

void check_manifest_time(const Json& manifest, std::time_t now) {
    const std::string created = manifest.at("createdAt");
    const std::string expires = manifest.at("expiresAt");
    if (now < *parse_time(created)) fail("createdAt", created + " is still to come");
    if (now >= *parse_time(expires)) fail("expiresAt", expires + " is over");
}

Json make_manifest(const std::string& url, const std::string& sha3, const ManifestMetadata& metadata, std::time_t created,
                   std::time_t expires) {
    Json manifest;
    manifest["version"] = "0.1.0";
    manifest["createdAt"] = time_text(created);
    manifest["expiresAt"] = time_text(expires);
    Json& about = manifest["metadata"];
    about["name"] = metadata.name;
    if (!metadata.description.empty()) about["description"] = metadata.description;
    about["version"] = metadata.version;
    if (!metadata.authors.empty()) about["authors"] = metadata.authors;
    if (!metadata.homepage.empty()) about["homepage"] = metadata.homepage;
    Json payload;
    payload["platform"] = {{"arch", "x86_64"}, {"os", "linux"}};
    payload["urls"] = {url};
    payload["hash"] = "sha3:" + sha3;
    manifest["payload"] = Json::array({payload});
    check_manifest(manifest);
    return manifest;
}

void add_outbound(Json& manifest, const std::vector<std::string>& urls) {
    check_manifest(manifest);
    if (!manifest.contains("compManifest")) manifest["compManifest"] = {{"version", "0.1.0"}};
    Json& out = manifest["compManifest"]["net"]["inet"]["out"];
    if (out.is_object() && out.contains("unrestricted")) throw base::Error("every URL is allowed already");
    // Without "protocols" all are allowed; a list of some would exclude the others.
    const bool all_protocols = out.is_object() && !out.contains("protocols");
    const auto add = [](Json& list, const std::string& text) {
        if (list.is_null()) list = Json::array();
        if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
    };
    for (const std::string& url : urls) {
        check_url(url, "URL");
        const std::string protocol = url.substr(0, url.find(':'));
        one_of({kProtocols.begin(), kProtocols.end()})(protocol, "the protocol of " + url);
        if (!all_protocols) add(out["protocols"], protocol);
        add(out["urls"], url);
    }
    check_manifest(manifest);
}

}  // namespace registry
