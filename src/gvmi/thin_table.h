#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gvmi/image.h"

namespace gvmi {

inline constexpr uint64_t kThinBlock = 256 << 10;              // bytes of the full image that one hash stands for; the last may be shorter
inline constexpr uint64_t kLargestThin = uint64_t{256} << 30;  // of a full image, bytes: its hashes take 32 MiB
inline constexpr size_t kMostThinUrls = 16;
inline constexpr size_t kLongestThinUrl = 2048;

using BlockHash = std::array<std::byte, 32>;  // SHA-256

// What a thin image says of the full image that it stands for (docs/spec/thin.md).
struct ThinTable {
    uint64_t size = 0;                  // of the full image, bytes
    std::string sha3;                   // SHA3-224 of the full image, 56 lower-case hex digits
    std::vector<std::string> urls;      // where it is served, in the order to try them; http or https, printable ASCII
    std::vector<BlockHash> hashes;      // of each kThinBlock bytes
    std::vector<uint32_t> first_reads;  // the numbers of the blocks that a recorded start read, in that order, each once

    uint64_t block_bytes(uint64_t block) const;  // of one of them
};

// Number of blocks of a full image.
constexpr uint64_t thin_blocks(uint64_t size) {
    return (size + kThinBlock - 1) / kThinBlock;
}

// The part of a thin image between its squashfs and its trailer. Throws base::Error for a table that read_thin_table would refuse.
std::string make_thin_part(const ThinTable& table);

// The table of a thin image; nothing where the image is an ordinary one. `image` is what read_image has read from `fd`. It comes from a
// stranger: each defect has its own message. Throws base::Error: "NAME: a damaged thin image: …".
std::optional<ThinTable> read_thin_table(int fd, const Image& image, const std::string& name);

}  // namespace gvmi
