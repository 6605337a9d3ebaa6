#include "s3/presign.h"

#include <algorithm>
#include <span>
#include <string_view>

#include "base/hash.h"
#include "base/hex.h"
#include "http/percent_encode.h"

namespace s3 {
namespace {

constexpr size_t kHmacBytes = 32;

std::string hmac(const std::string& key, std::string_view data) {
    return base::from_hex(base::hmac_sha256_hex(key, data), kHmacBytes);
}

std::string utc(std::time_t time, const char* format) {
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof text, format, &parts)};
}

// What a client sends as Host: a port that goes without saying is left out.
std::string host_in(std::string_view url, size_t begin, size_t end) {
    std::string host(url.substr(begin, end - begin));
    const std::string_view usual = url.starts_with("https:") ? ":443" : ":80";
    if (host.ends_with(usual)) host.resize(host.size() - usual.size());
    return host;
}

}  // namespace

std::string presign_get(const std::string& url, const http::AwsKeys& keys, std::time_t now, std::chrono::seconds lifetime) {
    constexpr const char* kAlgorithm = "AWS4-HMAC-SHA256";
    const std::string date = utc(now, "%Y%m%d");
    const std::string time = utc(now, "%Y%m%dT%H%M%SZ");
    std::string scope = date;
    scope.append("/").append(keys.region).append("/s3/aws4_request");

    // In the order of their names, as the signature wants them.
    std::string query = "X-Amz-Algorithm=";
    query.append(kAlgorithm).append("&X-Amz-Credential=").append(http::percent_encode(keys.key + "/" + scope));
    query.append("&X-Amz-Date=").append(time).append("&X-Amz-Expires=").append(std::to_string(lifetime.count()));
    if (!keys.session_token.empty()) query.append("&X-Amz-Security-Token=").append(http::percent_encode(keys.session_token));
    query.append("&X-Amz-SignedHeaders=host");

    const size_t host = url.find("://") + 3;
    const size_t path = std::min(url.find('/', host), url.size());
    std::string request = "GET\n";
    request.append(url, path).append("\n").append(query).append("\nhost:").append(host_in(url, host, path));
    request.append("\n\nhost\nUNSIGNED-PAYLOAD");

    std::string text = kAlgorithm;
    text.append("\n").append(time).append("\n").append(scope).append("\n");
    text.append(base::sha256_hex(std::as_bytes(std::span(request))));
    const std::string key = hmac(hmac(hmac(hmac("AWS4" + keys.secret, date), keys.region), "s3"), "aws4_request");
    std::string result = url;
    return result.append("?").append(query).append("&X-Amz-Signature=").append(base::hmac_sha256_hex(key, text));
}

}  // namespace s3
