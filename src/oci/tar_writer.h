#pragma once

#include <archive.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <span>

#include "oci/entries.h"

namespace oci {

// Writes a tar in the PAX format: for each entry `add`, then all data of a file. Names are bytes, in no character set. Memory is constant.
// All functions throw base::Error, and what the sink throws.
class TarWriter {
public:
    // Takes the tar's next bytes, some 64 KiB each time.
    using Sink = std::function<void(std::span<const std::byte> bytes)>;

    explicit TarWriter(Sink sink);
    ~TarWriter();  // without the end mark, unless `finish` was called
    TarWriter(const TarWriter&) = delete;
    TarWriter& operator=(const TarWriter&) = delete;

    // A socket, which no tar holds, is an error; ACLs are left out.
    void add(const TarEntry& entry);
    // Data of the file that was added last. What is missing at the next `add` is filled with zeros; what is too much is an error.
    void write(std::span<const std::byte> data);
    void write_zeros(uint64_t size);
    void finish();

private:
    static la_ssize_t put(archive* archive, void* self, const void* buffer, size_t size);
    void check(la_ssize_t result);

    Sink sink_;
    archive* archive_;
    std::exception_ptr exception_;  // the sink's: libarchive is C, and no exception may pass through it
};

}  // namespace oci
