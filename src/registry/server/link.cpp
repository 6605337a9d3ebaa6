#include "registry/server/link.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <charconv>
#include <span>

#include "base/hash.h"
#include "base/hex.h"

namespace registry::server {
namespace {

constexpr size_t kSignatureDigits = 64;
constexpr size_t kMaxLink = 200;

std::string signature_of(const std::string& named, const PrivateImage& image, const std::string& key) {
    const std::string text = fmt::format("gvmkit private link 1\n{}\n{}\n{}\n{}", named, image.id, image.name, image.links);
    return base::hmac_sha256_hex(key, text);
}

// Takes a number and the dot behind it from the front of the text.
bool take_number(std::string_view& text, int64_t& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number < 0 || end == text.data() + text.size() || *end != '.') return false;
    text.remove_prefix(static_cast<size_t>(end - text.data()) + 1);
    return true;
}

}  // namespace

std::string make_link(const PrivateImage& image, Time expires, const std::string& key) {
    const std::string named = fmt::format("{}.{}.{}", image.number, image.repository, expires);
    return fmt::format("{}.{}", named, signature_of(named, image, key));
}

std::optional<Link> parse_link(const std::string& text) {
    Link link;
    std::string_view rest = text;
    if (text.size() > kMaxLink || !take_number(rest, link.number) || !take_number(rest, link.repository) ||
        !take_number(rest, link.expires) || !base::is_hex(rest, kSignatureDigits))
        return std::nullopt;
    link.signature = rest;
    link.named = text.substr(0, text.size() - rest.size() - 1);
    return link;
}

bool is_signed(const Link& link, const PrivateImage& image, const std::string& key) {
    const std::string expected = signature_of(link.named, image, key);
    return CRYPTO_memcmp(link.signature.data(), expected.data(), kSignatureDigits) == 0;
}

}  // namespace registry::server
