#include "s3/settings.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "base/trimmed.h"
#include "base/untrusted_text.h"
#include "http/url.h"

namespace s3 {
namespace {

constexpr std::string_view kScheme = "s3://";
constexpr size_t kMaxFile = 1 << 20;
constexpr std::string_view kLowerAndDigits = "abcdefghijklmnopqrstuvwxyz0123456789";

// What a key may hold of which nobody has to ask how it is written in a URL.
bool is_plain(std::string_view text, std::string_view others) {
    return std::all_of(text.begin(), text.end(), [others](char c) {
        return (c >= 'A' && c <= 'Z') || kLowerAndDigits.find(c) != std::string_view::npos || others.find(c) != std::string_view::npos;
    });
}

// The bucket, and the prefix with a slash at its end.
std::pair<std::string, std::string> split(const std::string& url) {
    if (!url.starts_with(kScheme)) throw base::Error("bad store " + base::quote(url) + ": it is not s3://BUCKET/PREFIX");
    const std::string path = url.substr(kScheme.size());
    const size_t slash = std::min(path.find('/'), path.size());
    std::string bucket = path.substr(0, slash);
    std::string prefix = path.substr(std::min(slash + 1, path.size()));
    while (prefix.ends_with('/'))
        prefix.pop_back();
    if (bucket.size() < 3 || bucket.size() > 63 || bucket.find_first_not_of(std::string(kLowerAndDigits) + ".-") != std::string::npos)
        throw base::Error("bad store " + base::quote(url) + ": a bucket's name has 3 to 63 lower-case letters, digits, dots and dashes");
    if (!is_plain(prefix, "-_./") || prefix.find("//") != std::string::npos || prefix.starts_with('/') ||
        prefix.find("..") != std::string::npos)
        throw base::Error("bad store " + base::quote(url) + ": a prefix has letters, digits, and -_. between single slashes");
    if (!prefix.empty()) prefix += '/';
    return {bucket, prefix};
}

std::string bucket_url(std::string endpoint, const std::string& bucket, bool path_style) {
    while (endpoint.ends_with('/'))
        endpoint.pop_back();
    const http::UrlParts parts = http::parse_url(endpoint);
    const size_t host = endpoint.find("://") + 3;
    if ((parts.scheme != "http" && parts.scheme != "https") || parts.user || endpoint.find_first_of("/?#", host) != std::string::npos)
        throw base::Error("bad S3 endpoint " + base::quote(endpoint) + ": it is not http://HOST, https://HOST or one of these with a port");
    return path_style ? endpoint + "/" + bucket : endpoint.insert(host, bucket + ".");
}

// One section of an INI file.
std::map<std::string, std::string> section(const std::string& content, const std::string& name) {
    std::map<std::string, std::string> values;
    std::istringstream lines(content);
    bool inside = false;
    for (std::string whole; std::getline(lines, whole);) {
        const std::string_view line = base::trimmed(whole);
        const size_t equals = line.find('=');
        if (line.starts_with('[')) {
            inside = line == "[" + name + "]";
        } else if (inside && equals != std::string::npos && !line.starts_with('#') && !line.starts_with(';')) {
            values[std::string(base::trimmed(line.substr(0, equals)))] = base::trimmed(line.substr(equals + 1));
        }
    }
    return values;
}

http::AwsKeys keys(const Environment& variable) {
    const auto key = variable("AWS_ACCESS_KEY_ID");
    const auto secret = variable("AWS_SECRET_ACCESS_KEY");
    if (key && secret) return {.key = *key, .secret = *secret, .session_token = variable("AWS_SESSION_TOKEN").value_or(""), .region = {}};
    const std::string home = variable("HOME").value_or("/");
    const std::string file = variable("AWS_SHARED_CREDENTIALS_FILE").value_or(home + "/.aws/credentials");
    const std::string profile = variable("AWS_PROFILE").value_or("default");
    auto values = section(base::read_file_if_any(file, kMaxFile), profile);
    http::AwsKeys found{.key = values["aws_access_key_id"],
                        .secret = values["aws_secret_access_key"],
                        .session_token = values["aws_session_token"],
                        .region = {}};
    if (found.key.empty() || found.secret.empty())
        throw base::Error("no keys for the S3 store: neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are set, nor does " + file +
                          " have both in its section [" + profile + "]");
    return found;
}

}  // namespace

std::optional<std::string> environment(const char* name) {
    const char* value = std::getenv(name);
    if (!value || *value == 0) return std::nullopt;
    return value;
}

Settings settings(const Place& place, const Environment& variable) {
    const auto [bucket, prefix] = split(place.url);
    std::string region = place.region;
    for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
        if (region.empty()) region = variable(name).value_or("");
    }
    if (region.empty()) region = "us-east-1";
    if (!is_plain(region, "-_")) throw base::Error("bad S3 region " + base::quote(region) + ": it has letters, digits and dashes");
    const std::string endpoint = place.endpoint.empty() ? "https://s3." + region + ".amazonaws.com" : place.endpoint;
    Settings result{.name = std::string(kScheme) + bucket + "/" + prefix,
                    .bucket = bucket_url(endpoint, bucket, place.path_style),
                    .prefix = prefix,
                    .public_bucket = bucket_url(place.public_endpoint.empty() ? endpoint : place.public_endpoint, bucket, place.path_style),
                    .keys = keys(variable)};
    result.keys.region = region;
    return result;
}

}  // namespace s3
