#include "registry/server/tokens.h"

#include <openssl/rand.h>

#include <span>

#include "base/error.h"
#include "base/hash.h"

namespace registry::server {

std::string new_token() {
    constexpr size_t kBytes = 32;
    constexpr std::string_view kDigits = "0123456789abcdef";
    unsigned char random[kBytes];
    if (RAND_bytes(random, kBytes) != 1) throw base::Error("OpenSSL has no random bytes");
    std::string token = "gvmkit_";
    for (const unsigned char byte : random) {
        token += kDigits[byte >> 4];
        token += kDigits[byte & 15];
    }
    return token;
}

std::string token_hash(const std::string& token) {
    return base::sha256_hex(std::as_bytes(std::span(token)));
}

}  // namespace registry::server
