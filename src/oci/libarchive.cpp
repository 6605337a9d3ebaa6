#include "oci/libarchive.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "base/error.h"

namespace oci {

Archive::Archive(StreamPtr inner) : inner_(std::move(inner)), archive_(archive_read_new()) {
    if (archive_ == nullptr) throw std::bad_alloc();
}

Archive::~Archive() {
    archive_read_free(archive_);
}

void Archive::open() {
    check(archive_read_open2(archive_, this, nullptr, read, skip, nullptr));
}

void Archive::rethrow() {
    if (exception_) std::rethrow_exception(std::exchange(exception_, nullptr));
}

void Archive::check(int result) {
    rethrow();
    if (result == ARCHIVE_OK) return;
    const char* text = archive_error_string(archive_);
    throw base::Error(text == nullptr ? "it cannot be read" : text);
}

la_ssize_t Archive::read(archive* archive, void* self, const void** buffer) {
    auto* reader = static_cast<Archive*>(self);
    try {
        const auto bytes = reader->inner_->next();
        *buffer = bytes.data();
        return static_cast<la_ssize_t>(bytes.size());
    } catch (...) {
        reader->exception_ = std::current_exception();
        archive_set_error(archive, EIO, "it cannot be read");
        return -1;
    }
}

la_int64_t Archive::skip(archive* archive, void* self, la_int64_t request) {
    auto* reader = static_cast<Archive*>(self);
    try {
        return static_cast<la_int64_t>(reader->inner_->skip(static_cast<uint64_t>(std::max<la_int64_t>(request, 0))));
    } catch (...) {
        reader->exception_ = std::current_exception();
        archive_set_error(archive, EIO, "it cannot be read");
        return ARCHIVE_FATAL;
    }
}

}  // namespace oci
