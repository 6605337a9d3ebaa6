#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "oci/libarchive.h"

namespace oci {

// An entry as the tar says it: names are bytes and may lead anywhere.
struct TarEntry {
    enum class Type { file, hard_link, symlink, directory, character_device, block_device, fifo };

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

// Data of a file; what lies between blocks, and behind the last one, is zeros.
struct TarData {
    uint64_t offset = 0;
    std::span<const std::byte> bytes;
};

// The entries of a tar (ustar, PAX, GNU; sparse ones too), one after another. Errors name the offset in the tar.
class TarReader {
public:
    explicit TarReader(StreamPtr stream);

    // False at the end. `entry`'s data not read before is skipped.
    bool next(TarEntry& entry);

    // The current file's next data; nothing at its end. Valid until the next call; the offsets grow and stay below the file's size.
    std::optional<TarData> read();

    // Reads to the end of the stream, over what stands behind the tar's end mark.
    void drain();

private:
    std::string at() const;

    Archive archive_;
    bool opened_ = false;
    int64_t header_ = 0;  // where the current entry's begins
    uint64_t size_ = 0;
    uint64_t position_ = 0;  // the end of the data that was given
};

}  // namespace oci
