#include "init/compare.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "init/tar_writer.h"

namespace init {
namespace {

constexpr size_t kComparedPiece = 64 << 10;

ssize_t read_piece_of(int file, char* piece) {
    size_t done = 0;
    while (done < kComparedPiece) {
        const ssize_t n = ::read(file, piece + done, kComparedPiece - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        if (n == 0) break;
        done += static_cast<size_t>(n);
    }
    return static_cast<ssize_t>(done);
}

base::UniqueFd open_file_at(const FileAt& file) {
    return base::UniqueFd(::openat(file.folder, file.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

}  // namespace

std::string target_of(int folder, const char* name) {
    char target[PATH_MAX];
    const ssize_t size = ::readlinkat(folder, name, target, sizeof target);
    return size < 0 ? "" : std::string(target, static_cast<size_t>(size));
}

Result<bool> differ(const FileAt& a, const FileAt& b, bool time) {
    if (a.st.st_mode != b.st.st_mode || a.st.st_uid != b.st.st_uid || a.st.st_gid != b.st.st_gid) return true;
    const bool device = S_ISCHR(a.st.st_mode) || S_ISBLK(a.st.st_mode);
    if (device && a.st.st_rdev != b.st.st_rdev) return true;
    if (S_ISREG(a.st.st_mode) && a.st.st_size != b.st.st_size) return true;
    if (time && (a.st.st_mtim.tv_sec != b.st.st_mtim.tv_sec || a.st.st_mtim.tv_nsec != b.st.st_mtim.tv_nsec)) return true;
    if (S_ISLNK(a.st.st_mode) && target_of(a.folder, a.name) != target_of(b.folder, b.name)) return true;
    const Result<Attributes> first = attributes_of(a.folder, a.name);
    if (!first.ok()) return first.status;
    const Result<Attributes> second = attributes_of(b.folder, b.name);
    if (!second.ok()) return second.status;
    return first.value != second.value;
}

Result<bool> differ_in_content(const FileAt& a, const FileAt& b) {
    static char pieces[2][kComparedPiece];
    const base::UniqueFd first = open_file_at(a);
    const base::UniqueFd second = open_file_at(b);
    if (!first || !second) return errno == ENOENT || errno == ELOOP ? Result<bool>(true) : Result<bool>(failure(errno, {a.name}));
    for (;;) {
        const ssize_t n = read_piece_of(first.get(), pieces[0]);
        if (n < 0) return failure(errno, {a.name});
        const ssize_t m = read_piece_of(second.get(), pieces[1]);
        if (m < 0) return failure(errno, {a.name});
        if (n != m || std::memcmp(pieces[0], pieces[1], static_cast<size_t>(n)) != 0) return true;
        if (n == 0) return false;
    }
}

}  // namespace init
