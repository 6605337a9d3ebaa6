#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/fd.h"

namespace oci {

// Bytes that come one after another.
class Stream {
public:
    Stream() = default;
    virtual ~Stream() = default;
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    // The next bytes, valid until the next call; empty at the end. Throws base::Error.
    virtual std::span<const std::byte> next() = 0;

    // Skips at most `bytes` without reading them, where it can. Returns how many; 0 where it cannot.
    virtual uint64_t skip(uint64_t) { return 0; }
};

using StreamPtr = std::unique_ptr<Stream>;

// A file from start to end. Others read `fd` too, so its position is not changed. `name` is for messages.
StreamPtr read_file(std::shared_ptr<const base::UniqueFd> fd, const std::string& name);
// A part of a file; less where the file ends earlier.
StreamPtr read_range(std::shared_ptr<const base::UniqueFd> fd, const std::string& name, uint64_t offset, uint64_t size);

// The bytes of a text.
StreamPtr text_stream(std::string text);

// True when the first bytes of a stream are those of gzip, zstd, xz or bzip2.
bool is_compressed(std::span<const std::byte> start);

// What compressed data may unpack to, in bytes, unless the user says otherwise: some hundred bytes can claim any number.
inline constexpr uint64_t kDefaultLimit = uint64_t{64} << 30;

// The plain data of what gzip, zstd, xz or bzip2 compressed, base::Error beyond `limit` bytes of it; anything else unchanged. The first
// bytes decide.
StreamPtr decompress(StreamPtr inner, uint64_t limit = kDefaultLimit);

// `inner` unchanged, base::Error beyond what is left of it and of all streams that share the number, which it lowers by what it gives; what
// is skipped does not count. Null: any number.
StreamPtr bound(StreamPtr inner, std::shared_ptr<uint64_t> left);

// `inner` unchanged; at its end its SHA-256 must be `expected` (64 lower-case hex digits). Throws base::Error that begins with `what`.
StreamPtr check_sha256(StreamPtr inner, std::string expected, std::string what);

// Reads to the end, so that the checks there take place.
void drain(Stream& stream);

// The complete stream, at most `limit` bytes. Throws base::Error where it is longer.
std::string read_all(Stream& stream, size_t limit);

// An open file without a name in the system's temporary folder; it vanishes when it is closed.
base::UniqueFd unnamed_file();

}  // namespace oci
