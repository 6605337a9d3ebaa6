#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <exception>
#include <memory>

#include "oci/stream.h"

namespace oci {

// A libarchive reader over a stream. The caller sets formats and filters before `open`. Not movable: libarchive keeps its address.
class Archive {
public:
    explicit Archive(StreamPtr inner);
    Archive(const Archive&) = delete;
    Archive& operator=(const Archive&) = delete;
    ~Archive();

    archive* get() const { return archive_; }
    Stream& inner() const { return *inner_; }

    // Throws base::Error.
    void open();

    // Rethrows what the stream threw while libarchive read it, if it did.
    void rethrow();

    // Like that; else throws base::Error with libarchive's text unless `result` is ARCHIVE_OK.
    void check(int result);

private:
    static la_ssize_t read(archive* archive, void* self, const void** buffer);
    static la_int64_t skip(archive* archive, void* self, la_int64_t request);

    StreamPtr inner_;
    archive* archive_;
    std::exception_ptr exception_;  // the stream's: libarchive is C, and no exception may pass through it
};

}  // namespace oci
