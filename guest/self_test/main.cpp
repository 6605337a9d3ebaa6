// The program of the self-test image (exe-unit.md, test): looks at its VM from inside and writes to each kind of volume. Prints what is
// wrong, or nothing; the exit code says the same. The other side is src/runtime/self_test.cpp.

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace {

constexpr const char* kGreeting = "from the host";
constexpr const char* kAnswer = "from the guest";

bool fail(const char* what, const char* path) {
    (void)std::fprintf(stderr, "%s %s: %s\n", what, path, std::strerror(errno));
    return false;
}

bool has_type(const char* path, long type, const char* name) {
    struct statfs status {};
    if (::statfs(path, &status) < 0) return fail("cannot look at", path);
    if (status.f_type == type) return true;
    (void)std::fprintf(stderr, "%s is not on %s (its type is %#lx)\n", path, name, static_cast<unsigned long>(status.f_type));
    return false;
}

bool writes(const char* path) {
    const int fd = ::open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return fail("cannot make", path);
    const auto size = static_cast<ssize_t>(std::strlen(kAnswer));
    char back[64] = {};
    const bool same = ::write(fd, kAnswer, std::strlen(kAnswer)) == size && ::fsync(fd) == 0 && ::pread(fd, back, sizeof back, 0) == size &&
                      std::strcmp(back, kAnswer) == 0;
    (void)::close(fd);
    return same || fail("cannot write and read", path);
}

bool holds_greeting(const char* path) {
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail("cannot open", path);
    char text[64] = {};
    const ssize_t size = ::read(fd, text, sizeof text - 1);
    (void)::close(fd);
    if (size >= 0 && std::strcmp(text, kGreeting) == 0) return true;
    (void)std::fprintf(stderr, "%s does not hold what the host wrote there\n", path);
    return false;
}

}  // namespace

int main() {
    bool good = holds_greeting("/golem/volume/host") && writes("/golem/volume/guest");
    good = has_type("/golem/storage", EXT4_SUPER_MAGIC, "ext4") && writes("/golem/storage/guest") && good;
    good = has_type("/golem/ram", TMPFS_MAGIC, "tmpfs") && writes("/golem/ram/guest") && good;
    good = has_type("/", OVERLAYFS_SUPER_MAGIC, "overlayfs") && writes("/guest") && good;
    return good ? 0 : 1;
}
