// What the benchmarks run inside the VMs, static: `true`, `out BYTES`, `write PATH BYTES`, `read PATH`, `touch BYTES` of memory,
// `follow FILE`, which writes its content whenever that has changed.
// NOLINTBEGIN(clang-analyzer-security.insecureAPI.*): C11's Annex K is not in glibc
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { kBlock = 1 << 20 };
static char block[kBlock];

static int write_bytes(int fd, long long bytes, size_t block_size) {
    while (bytes > 0) {
        const ssize_t n = write(fd, block, bytes < (long long)block_size ? (size_t)bytes : block_size);
        if (n < 0) return 1;
        bytes -= n;
    }
    return 0;
}

// Opens it anew each time, since its name may become another file's. Ends when nobody reads any more.
static int follow(const char* path) {
    static char seen[kBlock];
    ssize_t seen_size = -1;
    for (;;) {
        const int fd = open(path, O_RDONLY);
        const ssize_t size = fd < 0 ? -1 : read(fd, block, kBlock);
        if (fd >= 0) close(fd);
        if (size > 0 && (size != seen_size || memcmp(seen, block, (size_t)size) != 0)) {
            if (write(1, block, (size_t)size) < 0) return 1;
            memcpy(seen, block, (size_t)size);
            seen_size = size;
        }
        usleep(1000);
    }
}

int main(int argc, char** argv) {
    if (argc == 2 && strcmp(argv[1], "true") == 0) return 0;
    if (argc == 3 && strcmp(argv[1], "out") == 0) return write_bytes(1, atoll(argv[2]), 64 << 10);
    if (argc == 4 && strcmp(argv[1], "write") == 0) {
        const int fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0644);
        return fd < 0 || write_bytes(fd, atoll(argv[3]), kBlock) != 0 || fsync(fd) != 0;
    }
    if (argc == 3 && strcmp(argv[1], "read") == 0) {
        const int fd = open(argv[2], O_RDONLY);
        ssize_t n;
        while ((n = read(fd, block, kBlock)) > 0) {
        }
        return fd < 0 || n < 0;
    }
    if (argc == 3 && strcmp(argv[1], "follow") == 0) return follow(argv[2]);
    if (argc == 3 && strcmp(argv[1], "touch") == 0) {
        const size_t bytes = (size_t)atoll(argv[2]);
        void* memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return 1;
        memset(memory, 1, bytes);
        return munmap(memory, bytes) != 0;
    }
    return 2;
}
// NOLINTEND(clang-analyzer-security.insecureAPI.*)
