#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gvmi {

// The compressors of a squashfs 4.0, with its numbers. (2, lzma, is older and read by nobody.)
enum class Method : uint16_t { gzip = 1, lzo = 3, xz = 4, lz4 = 5, zstd = 6 };

std::optional<Method> method_by_name(std::string_view name);
std::optional<Method> method_by_number(unsigned number);
const char* name_of(Method method);
std::vector<std::string> method_names();

// The levels of a method: 1 (fast) to `highest` (small). A method without levels has 0 for both.
struct Levels {
    int standard = 0;
    int highest = 0;
};
Levels levels_of(Method method);

struct Compression {
    Method method = Method::gzip;
    int level = levels_of(Method::gzip).standard;
};

// Compresses or decompresses blocks, one after another; for one thread.
class Coder {
public:
    Coder() = default;
    virtual ~Coder() = default;
    Coder(const Coder&) = delete;
    Coder& operator=(const Coder&) = delete;

    // Returns the number of bytes put into `out`; nothing where the result does not fit or `in` is damaged.
    virtual std::optional<size_t> code(std::span<const std::byte> in, std::span<std::byte> out) = 0;
};

// `block_size` is the largest size of a plain block. Throws std::bad_alloc. The bytes are the same for the same input, method, level and
// version of the library that does the work.
std::unique_ptr<Coder> make_encoder(const Compression& compression, uint32_t block_size);
std::unique_ptr<Coder> make_decoder(Method method);

// Whether a block is so evenly random, as compressed data is, that trying to compress it is a waste. It looks at 4 KiB of the block in 16
// places, so a smaller block never is. The answer depends on the bytes alone. Random bytes that repeat within the block deceive it.
bool looks_incompressible(std::span<const std::byte> block);

}  // namespace gvmi
