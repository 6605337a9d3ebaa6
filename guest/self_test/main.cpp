// The program of the self-test image (docs/spec/exe-unit.md, test): looks at its VM from inside and writes to each kind of volume. It
// reports errors on standard error and by its exit code. For a GPU it prints the provider's offer as JSON. Its counterpart is
// src/runtime/self_test.cpp.

#include <fcntl.h>
#include <glob.h>
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

// The first line of PATH/NAME, or what follows `key` where a line begins with it; empty where there is none.
void read_value(char* value, size_t size, const char* path, const char* name, const char* key) {
    char file[512];
    char line[256];
    value[0] = '\0';
    (void)std::snprintf(file, sizeof file, "%s/%s", path, name);
    std::FILE* const opened = std::fopen(file, "re");
    if (opened == nullptr) return;
    while (value[0] == '\0' && std::fgets(line, sizeof line, opened) != nullptr) {
        if (std::strncmp(line, key, std::strlen(key)) != 0) continue;
        const char* const text = line + std::strlen(key);
        (void)std::snprintf(value, size, "%.*s", static_cast<int>(std::strcspn(text + std::strspn(text, " \t"), "\n\"\\")),
                            text + std::strspn(text, " \t"));
    }
    (void)std::fclose(opened);
}

// Prints the model of the first GPU as its driver calls it, else its numbers; nothing without a GPU.
void tell_gpu() {
    char model[128] = "";
    glob_t found{};
    if (::glob("/proc/driver/nvidia/gpus/*", 0, nullptr, &found) == 0)
        read_value(model, sizeof model, found.gl_pathv[0], "information", "Model:");
    ::globfree(&found);
    if (model[0] == '\0' && ::glob("/sys/bus/pci/devices/*", 0, nullptr, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc && model[0] == '\0'; i++) {
            char kind[32];
            char vendor[32];
            char device[32];
            read_value(kind, sizeof kind, found.gl_pathv[i], "class", "0x");
            read_value(vendor, sizeof vendor, found.gl_pathv[i], "vendor", "0x");
            read_value(device, sizeof device, found.gl_pathv[i], "device", "0x");
            if (std::strncmp(kind, "03", 2) == 0) (void)std::snprintf(model, sizeof model, "PCI device %s:%s", vendor, device);
        }
        ::globfree(&found);
    }
    if (model[0] != '\0') (void)std::printf("{\"gpu\":{\"model\":\"%s\"}}\n", model);
}

}  // namespace

int main() {
    bool good = holds_greeting("/golem/volume/host") && writes("/golem/volume/guest");
    good = has_type("/golem/storage", EXT4_SUPER_MAGIC, "ext4") && writes("/golem/storage/guest") && good;
    good = has_type("/golem/ram", TMPFS_MAGIC, "tmpfs") && writes("/golem/ram/guest") && good;
    good = has_type("/", OVERLAYFS_SUPER_MAGIC, "overlayfs") && writes("/guest") && good;
    tell_gpu();
    return good ? 0 : 1;
}
