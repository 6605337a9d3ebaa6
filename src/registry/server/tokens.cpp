#include "registry/server/tokens.h"

#include <openssl/rand.h>

#include <span>

#include "base/error.h"
#include "base/hash.h"
#include "base/hex.h"

namespace registry::server {

std::string new_token() {
    constexpr size_t kBytes = 32;
    unsigned char random[kBytes];
    if (RAND_bytes(random, kBytes) != 1) throw base::Error("OpenSSL has no random bytes");
    return "gvmkit_" + base::to_hex(std::as_bytes(std::span(random)));
}

std::string token_hash(const std::string& token) {
    return base::sha256_hex(std::as_bytes(std::span(token)));
}

}  // namespace registry::server
