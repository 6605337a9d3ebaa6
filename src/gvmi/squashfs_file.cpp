#include "gvmi/squashfs_file.h"

#include <sqfs/error.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/fd.h"
#include "base/times.h"

namespace gvmi {
namespace {

// libsquashfs is C: no exception may pass it.
template <typename F>
int guarded(SquashfsFile& self, F&& f) {
    try {
        return f();
    } catch (const base::SystemError& e) {
        if (self.error_number == 0) self.error_number = e.error_number();
        return SQFS_ERROR_IO;
    }
}

int read_at(sqfs_file_t* file, sqfs_u64 offset, void* buffer, size_t size) {
    auto& self = *static_cast<SquashfsFile*>(file);
    return guarded(self, [&]() -> int {
        const std::span<std::byte> span(static_cast<std::byte*>(buffer), size);
        return base::pread_full(self.fd, span, offset, "") == size ? 0 : SQFS_ERROR_OUT_OF_BOUNDS;
    });
}

int write_at(sqfs_file_t* file, sqfs_u64 offset, const void* buffer, size_t size) {
    auto& self = *static_cast<SquashfsFile*>(file);
    const base::Timed timed(base::Work::write);
    return guarded(self, [&] {
        const auto* data = static_cast<const std::byte*>(buffer);
        for (size_t done = 0; done < size;) {
            const ssize_t n = ::pwrite(self.fd, data + done, size - done, static_cast<off_t>(offset + done));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) base::throw_errno("");
            done += static_cast<size_t>(n);
        }
        self.size = std::max<sqfs_u64>(self.size, offset + size);
        return 0;
    });
}

sqfs_u64 get_size(const sqfs_file_t* file) {
    return static_cast<const SquashfsFile*>(file)->size;
}

int truncate(sqfs_file_t* file, sqfs_u64 size) {
    auto& self = *static_cast<SquashfsFile*>(file);
    return guarded(self, [&] {
        if (::ftruncate(self.fd, static_cast<off_t>(size)) < 0) base::throw_errno("");
        self.size = size;
        return 0;
    });
}

}  // namespace

// libsquashfs does not own it: there is nothing to destroy, and no second object may write the same file.
SquashfsFile::SquashfsFile(int descriptor) : sqfs_file_t{}, fd(descriptor) {
    base.destroy = [](sqfs_object_t*) {};
    sqfs_file_t::read_at = gvmi::read_at;
    sqfs_file_t::write_at = gvmi::write_at;
    sqfs_file_t::get_size = gvmi::get_size;
    sqfs_file_t::truncate = gvmi::truncate;
}

}  // namespace gvmi
