// The program of the self-test image (docs/spec/exe-unit.md, test): looks at its VM from inside and writes to each kind of volume. It
// reports errors on standard error and by its exit code. For a GPU it prints the provider's offer as JSON. Its counterpart is
// src/runtime/self_test.cpp.

#include <fcntl.h>
#include <linux/magic.h>
#include <spawn.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "self_test/gpu.h"

namespace {

constexpr const char* kGreeting = "from the host";
constexpr const char* kAnswer = "from the guest";
constexpr size_t kMaxOutput = 256 << 10;  // nvidia-smi -q prints some 12 KiB per GPU

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

// What a program prints; empty where it is missing or fails. The image has no shell that could run it.
std::string output_of(std::vector<const char*> words) {
    std::string output;
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) return output;
    posix_spawn_file_actions_t actions;
    (void)::posix_spawn_file_actions_init(&actions);
    (void)::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    (void)::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    words.push_back(nullptr);
    pid_t pid = 0;
    const bool started = ::posix_spawnp(&pid, words[0], &actions, nullptr, const_cast<char**>(words.data()), environ) == 0;
    (void)::posix_spawn_file_actions_destroy(&actions);
    (void)::close(ends[1]);
    char part[4096];
    for (ssize_t n = 0; started && (n = ::read(ends[0], part, sizeof part)) > 0;) {
        if (output.size() < kMaxOutput) output.append(part, static_cast<size_t>(n));
    }
    (void)::close(ends[0]);
    int status = 0;
    const bool good = started && ::waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return good ? output : std::string();
}

void tell_gpu() {
    const std::string gpu = self_test::describe_gpu("", output_of({"nvidia-smi", "-q"}),
                                                    output_of({"nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"}));
    if (!gpu.empty()) (void)std::printf("%s\n", gpu.c_str());
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
