#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace gvmi {

// The number in at most 8 bytes.
inline uint64_t little_endian(std::span<const std::byte> bytes) {
    uint64_t value = 0;
    for (size_t i = bytes.size(); i-- > 0;)
        value = value << 8 | static_cast<uint64_t>(bytes[i]);
    return value;
}

inline void append_little_endian(std::string& out, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

}  // namespace gvmi
