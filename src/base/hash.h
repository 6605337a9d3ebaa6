#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace base {

// CRC-32/ISO-HDLC, the one of zlib and PNG.
uint32_t crc32(std::span<const std::byte> data);

// A hash over a stream of bytes.
class Hasher {
public:
    enum class Kind { sha256, sha3_224 };

    explicit Hasher(Kind kind);
    void update(std::span<const std::byte> data);

    // The digest in lower-case hex digits. The hasher cannot be used afterwards.
    std::string hex();

private:
    struct Free {
        void operator()(evp_md_ctx_st* context) const;
    };
    std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string sha256_hex(std::span<const std::byte> data);

// HMAC-SHA256 (RFC 2104), in lower-case hex digits.
std::string hmac_sha256_hex(std::string_view key, std::string_view data);

}  // namespace base
