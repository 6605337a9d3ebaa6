#include "base/hash.h"

#include <libdeflate.h>
#include <openssl/evp.h>

#include "base/error.h"
#include "base/hex.h"

namespace base {

uint32_t crc32(std::span<const std::byte> data) {
    return libdeflate_crc32(0, data.data(), data.size());
}

void Hasher::Free::operator()(evp_md_ctx_st* context) const {
    EVP_MD_CTX_free(context);
}

Hasher::Hasher(Kind kind) : context_(EVP_MD_CTX_new()) {
    if (!context_ || !EVP_DigestInit_ex(context_.get(), kind == Kind::sha256 ? EVP_sha256() : EVP_sha3_224(), nullptr))
        throw Error("OpenSSL offers no such hash");
}

void Hasher::update(std::span<const std::byte> data) {
    if (!EVP_DigestUpdate(context_.get(), data.data(), data.size())) throw Error("OpenSSL cannot hash");
}

std::string Hasher::hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!EVP_DigestFinal_ex(context_.get(), digest, &size)) throw Error("OpenSSL cannot hash");
    return to_hex(std::as_bytes(std::span(digest, size)));
}

std::string sha256_hex(std::span<const std::byte> data) {
    Hasher hasher(Hasher::Kind::sha256);
    hasher.update(data);
    return hasher.hex();
}

std::string hmac_sha256_hex(std::string_view key, std::string_view data) {
    unsigned char code[EVP_MAX_MD_SIZE];
    size_t size = 0;
    if (!EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, key.data(), key.size(), reinterpret_cast<const unsigned char*>(data.data()),
                   data.size(), code, sizeof code, &size))
        throw Error("OpenSSL cannot make an HMAC");
    return to_hex(std::as_bytes(std::span(code, size)));
}

}  // namespace base
