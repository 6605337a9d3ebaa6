#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "oci/entries.h"
#include "oci/libarchive.h"

namespace oci {

// The entries of a tar (ustar, PAX, GNU; sparse ones too), one after another. Errors name the offset in the tar.
class TarReader : public Entries {
public:
    explicit TarReader(StreamPtr stream);

    bool next(TarEntry& entry) override;
    std::optional<TarData> read() override;
    // Skips everything after the tar's end mark.
    void drain() override;

    // The offset of the header that `next` returned last or, after its end, of the end mark.
    uint64_t header_offset() const { return static_cast<uint64_t>(header_); }
    // Whether the current file is stored with holes: its data is then not one piece of the tar.
    bool is_sparse() const { return sparse_; }

private:
    std::string at() const;

    Archive archive_;
    bool opened_ = false;
    int64_t header_ = 0;   // where the current entry's begins
    bool sparse_ = false;  // the current entry's data
    uint64_t size_ = 0;
    uint64_t position_ = 0;  // the end of the data that was given
};

}  // namespace oci
