#include "registry/api.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "base/hex.h"
#include "base/json.h"
#include "base/untrusted_text.h"
#include "http/percent_encode.h"
#include "http/retry.h"
#include "http/status.h"
#include "registry/signature.h"

namespace registry {
namespace {

[[noreturn]] void refuse(const http::Request& request, const http::Response& answer) {
    std::string text = request.method + " " + request.url + ": status " + std::to_string(answer.status);
    if (const auto location = answer.headers.find("location"); answer.status / 100 == 3 && location != answer.headers.end()) {
        text += ": it sends to " + base::escape_line(location->second) + "; set REGISTRY_URL to where the registry is";
    } else if (!answer.body.empty()) {
        text += ": " + base::escape_line(answer.body);
    }
    throw base::Error(text);
}

// A chunk's mark: 1 or true where it is stored.
bool is_set(const nlohmann::json& mark) {
    if (mark.is_boolean()) return mark.get<bool>();
    if (!mark.is_number_integer()) throw base::Error("\"chunks\" holds what is neither 0 nor 1");
    return mark.get<int64_t>() != 0;
}

// A time, for people.
std::string parse_expires(const nlohmann::json& json) {
    constexpr size_t kLongest = 40;
    if (!json.is_object() || !json.contains("expires") || !json["expires"].is_string()) return {};
    return base::printable(json["expires"].get<std::string>(), kLongest);
}

UploadStatus parse_status(const std::string& body, size_t chunks) {
    const nlohmann::json json = base::parse_json(body);
    const auto text = [&json](const char* key) {
        return json.is_object() && json.contains(key) && json.at(key).is_string() ? json.at(key).get<std::string>() : "";
    };
    UploadStatus status;
    status.expires = parse_expires(json);
    status.stored.resize(chunks);
    const std::string descriptor = text("descriptor");
    if (descriptor != "ok" && descriptor != "missing") throw base::Error("\"descriptor\" is neither \"ok\" nor \"missing\"");
    status.descriptor = descriptor == "ok";
    status.full = status.descriptor && text("status") == "full";
    if (status.full) status.stored.assign(chunks, true);
    // null stands for all or none of them, as the status says.
    if (status.full || !json.contains("chunks") || json["chunks"].is_null()) return status;
    const nlohmann::json& marks = json["chunks"];
    if (!marks.is_array()) throw base::Error("\"chunks\" is no list");
    if (marks.empty() && !status.descriptor) return status;
    if (marks.size() != chunks) throw base::Error("marks of " + std::to_string(marks.size()) + " chunks, not " + std::to_string(chunks));
    for (size_t i = 0; i < chunks; i++)
        status.stored[i] = is_set(marks[i]);
    return status;
}

ImageInfo parse_info(const std::string& body, bool https) {
    const nlohmann::json json = base::parse_json(body);
    if (!json.is_object()) throw base::Error("no object");
    const auto text = [&json](const char* key) {
        if (!json.contains(key) || !json.at(key).is_string()) throw base::Error("no text \"" + std::string(key) + "\"");
        return json.at(key).get<std::string>();
    };
    ImageInfo info;
    info.url = text(https ? "https" : "http");
    info.sha3 = text("sha3");
    std::transform(info.sha3.begin(), info.sha3.end(), info.sha3.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const bool visible = std::all_of(info.url.begin(), info.url.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (!visible || (!info.url.starts_with("http://") && !info.url.starts_with("https://"))) {
        throw base::Error(base::quote(info.url) + " is not an http or https URL");
    }
    if (!base::is_hex(info.sha3, 56)) throw base::Error("\"sha3\" is not 56 hex digits");
    if (!json.contains("size") || !json["size"].is_number_unsigned()) throw base::Error("no number \"size\"");
    info.size = json["size"].get<uint64_t>();
    if (info.size == 0 || info.size > INT64_MAX) throw base::Error("a \"size\" of " + std::to_string(info.size) + " bytes");
    info.expires = parse_expires(json);
    return info;
}

void add_ttl(http::Request& request, std::chrono::seconds ttl) {
    if (ttl.count() > 0) request.parts.push_back({.name = "ttl", .text = std::to_string(ttl.count())});
}

http::Request info_request(const std::string& registry, const std::string& key, const std::string& value) {
    return {.url = registry + "/v1/image/info?" + key + "=" + http::percent_encode(value) + "&dev=true"};
}

}  // namespace

http::Response Api::send(const http::Request& request) {
    http::Response answer;
    http::retry(options_, [&] { answer = session_.send(request); });
    return answer;
}

bool Api::login(const Login& login, std::string& reason) {
    const nlohmann::json body = {{"username", login.user}, {"password", login.token}};
    const http::Request request{
        .method = "POST", .url = url_ + "/auth/pat/login", .headers = {"Content-Type: application/json"}, .body = base::to_text(body)};
    const http::Response answer = send(request);
    if (answer.status == http::kOk) return true;
    if (answer.status != http::kUnauthorized && answer.status != http::kForbidden) refuse(request, answer);
    reason = base::escape_line(answer.body);
    return false;
}

UploadStatus Api::upload_status(const std::string& descriptor_hash, size_t chunks) {
    const http::Request request{.url = url_ + "/v1/image/descr/" + descriptor_hash};
    const http::Response answer = send(request);
    if (!answer.success()) refuse(request, answer);
    return base::with_context("GET " + request.url, [&] { return parse_status(answer.body, chunks); });
}

void Api::push_descriptor(const std::string& descriptor_bytes, std::chrono::seconds ttl) {
    http::Request request{.method = "POST", .url = url_ + "/v1/image/push/descr"};
    add_ttl(request, ttl);
    // A text with a file name: it is completely in memory already.
    request.parts.push_back({.name = "file", .text = descriptor_bytes, .file_name = "descriptor.txt"});
    const http::Response answer = send(request);
    if (!answer.success()) refuse(request, answer);
}

void Api::push_chunk(const std::string& descriptor_hash, const Descriptor& descriptor, size_t number, int fd,
                     const std::function<void(uint64_t)>& sent) {
    const uint64_t position = number * descriptor.chunk_size;
    const uint64_t length = descriptor.chunk_length(number);
    http::Request request{.method = "POST", .url = url_ + "/v1/image/push/chunk"};
    request.parts = {{.name = "descr-sha256", .text = descriptor_hash},
                     {.name = "chunk-no", .text = std::to_string(number)},
                     {.name = "chunk-sha256", .text = descriptor.chunks.at(number)},
                     {.name = "chunk-pos", .text = std::to_string(position)},
                     {.name = "chunk-len", .text = std::to_string(length)},
                     {.name = "file", .text = {}, .file_name = "descriptor.txt", .fd = fd, .offset = position, .length = length}};
    request.sent = sent;
    const http::Response answer = send(request);
    if (!answer.success()) refuse(request, answer);
}

void Api::attach(const std::string& descriptor_hash, const Reference& name, const Login& login, bool check, std::chrono::seconds ttl) {
    http::Request request{.method = "POST", .url = url_ + "/v1/image/descr/attach/" + descriptor_hash};
    request.parts = {{.name = "username", .text = name.user},
                     {.name = "repository", .text = name.repository},
                     {.name = "tag", .text = name.tag},
                     {.name = "login", .text = login.user},
                     {.name = "token", .text = login.token}};
    if (check) request.parts.push_back({.name = "check", .text = "true"});
    add_ttl(request, ttl);
    const http::Response answer = send(request);
    if (answer.status != http::kOk) refuse(request, answer);
}

void Api::set_private(const Reference& name, const Login& login) {
    http::Request request{.method = "POST", .url = url_ + "/v1/repository/settings"};
    request.parts = {{.name = "username", .text = name.user},
                     {.name = "repository", .text = name.repository},
                     {.name = "login", .text = login.user},
                     {.name = "token", .text = login.token},
                     {.name = "private", .text = "true"}};
    const http::Response answer = send(request);
    if (answer.status == http::kNotFound || answer.status == http::kNotAllowed)
        throw base::Error(url_ + " has no private repositories; nothing was pushed");
    if (!answer.success()) refuse(request, answer);
}

http::Response Api::look_up(const http::Request& request) {
    http::Response answer = send(request);
    if (answer.status != http::kNotFound || !reader_) return answer;
    const std::optional<Login> login = reader_();
    if (!login) return answer;
    http::Request again = request;
    again.headers.push_back("Authorization: Basic " + base64_encode(login->user + ":" + login->token));
    return send(again);
}

ImageInfo Api::image_info(const std::string& key, const std::string& value) {
    const http::Request request = info_request(url_, key, value);
    return parsed(request, look_up(request));
}

std::optional<ImageInfo> Api::find_image(const std::string& key, const std::string& value) {
    const http::Request request = info_request(url_, key, value);
    const http::Response answer = look_up(request);
    if (answer.status == http::kNotFound) return std::nullopt;
    return parsed(request, answer);
}

ImageInfo Api::parsed(const http::Request& request, const http::Response& answer) const {
    if (!answer.success()) refuse(request, answer);
    return base::with_context("GET " + request.url, [&] { return parse_info(answer.body, url_.starts_with("https://")); });
}

}  // namespace registry
