#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace oci {

// An entry as the tar describes it: names are bytes and may lead anywhere.
struct TarEntry {
    enum class Type { file, hard_link, symlink, directory, character_device, block_device, fifo, socket };  // a tar has no sockets

    Type type = Type::file;
    std::string path;
    std::string target;        // of a link
    uint32_t permissions = 0;  // 07777
    uint32_t uid = 0;
    uint32_t gid = 0;
    int64_t mtime = 0;
    uint64_t size = 0;  // of a file, its holes included
    unsigned major = 0;
    unsigned minor = 0;
    std::vector<std::pair<std::string, std::string>> attributes;  // extended attributes
    bool has_acl = false;
};

// Of a file's mode.
TarEntry::Type entry_type(mode_t mode);

// Data of a file; the gaps between blocks, and after the last one, are zeros.
struct TarData {
    uint64_t offset = 0;
    std::span<const std::byte> bytes;
};

// A layer's entries, one after another, whatever their source. Throws base::Error.
class Entries {
public:
    Entries() = default;
    virtual ~Entries() = default;
    Entries(const Entries&) = delete;
    Entries& operator=(const Entries&) = delete;

    // Returns false at the end. Skips unread data of the previous entry.
    virtual bool next(TarEntry& entry) = 0;

    // The current file's next data; nothing at its end. Valid until the next call; the offsets grow and stay below the file's size.
    virtual std::optional<TarData> read() = 0;

    // Reads to the end, so that the checks there take place.
    virtual void drain() = 0;
};

// Gives the `size` bytes of the current file, in order: zeros(count) and bytes(span).
template <typename Zeros, typename Bytes>
void copy_data(Entries& entries, uint64_t size, const Zeros& zeros, const Bytes& bytes) {
    uint64_t position = 0;
    while (const auto data = entries.read()) {
        zeros(data->offset - position);
        bytes(data->bytes);
        position = data->offset + data->bytes.size();
    }
    zeros(size - position);
}

}  // namespace oci
