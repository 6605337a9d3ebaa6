#include "registry/describe.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <future>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/times.h"

namespace registry {
namespace {

struct stat status_of(int fd, const std::string& name) {
    struct stat status {};
    if (::fstat(fd, &status) < 0) base::throw_errno("cannot examine ", name);
    if (!S_ISREG(status.st_mode)) throw base::Error(name + ": not a file");
    if (status.st_size == 0) throw base::Error(name + ": an empty file is no image");
    return status;
}

bool older(const timespec& a, const timespec& b) {
    return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

// The bytes of the descriptor next to the image, where it can be reused; says why not.
std::optional<std::string> usable(const std::filesystem::path& path, const struct stat& image, uint64_t chunk_size,
                                  const std::function<void(const std::string&)>& say) {
    struct stat status {};
    if (::stat(path.c_str(), &status) < 0) {
        if (errno == ENOENT) return {};
        base::throw_errno("cannot examine ", path);
    }
    if (older(status.st_mtim, image.st_mtim)) {
        say(" -- File descriptor is older than image, recreating");
        return {};
    }
    try {
        std::string bytes = base::read_file(path, kMaxDescriptorBytes);
        const Descriptor descriptor = parse_descriptor(std::as_bytes(std::span(bytes)));
        if (descriptor.chunk_size != chunk_size) {
            say(" -- chunk size changed, recreating file descriptor");
        } else if (descriptor.size != static_cast<uint64_t>(image.st_size)) {
            say(" -- image size changed, recreating file descriptor");
        } else {
            return bytes;
        }
    } catch (const base::Error& e) {
        say(std::string(" -- failed to deserialize file descriptor: ") + e.what());
    }
    return {};
}

// Calls f with all blocks of [start, end).
template <typename F>
void read_blocks(int fd, const std::string& name, uint64_t start, uint64_t end, F&& f) {
    std::vector<std::byte> buffer(size_t{1} << 20);
    for (uint64_t position = start; position < end; position += buffer.size()) {
        const auto block = std::span(buffer).first(static_cast<size_t>(std::min<uint64_t>(buffer.size(), end - position)));
        if (base::pread_full(fd, block, position, name) != block.size()) throw base::Error(name + ": it became shorter while it was read");
        const base::Timed timed(base::Work::hash);
        f(std::span<const std::byte>(block), position + block.size());
    }
}

std::vector<std::string> hash_chunks(int fd, const std::string& name, uint64_t size, uint64_t chunk_size, const std::atomic<bool>& stop) {
    std::vector<std::string> chunks;
    for (uint64_t start = 0; start < size && !stop; start += chunk_size) {
        base::Hasher chunk(base::Hasher::Kind::sha256);
        read_blocks(fd, name, start, std::min(size, start + chunk_size), [&](auto block, uint64_t) { chunk.update(block); });
        chunks.push_back(chunk.hex());
    }
    return chunks;
}

}  // namespace

Descriptor compute_descriptor(int fd, const std::string& name, uint64_t chunk_size,
                              const std::function<void(uint64_t, uint64_t)>& progress) {
    Descriptor descriptor;
    const uint64_t size = static_cast<uint64_t>(status_of(fd, name).st_size);
    descriptor.size = size;
    descriptor.chunk_size = chunk_size == 0 ? chunk_size_for(size) : chunk_size;
    if ((size - 1) / descriptor.chunk_size >= kMaxChunks) {
        throw base::Error(name + ": more than " + std::to_string(kMaxChunks) + " chunks of " + std::to_string(descriptor.chunk_size) +
                          " bytes");
    }
    std::atomic<bool> stop = false;
    std::future<std::vector<std::string>> chunks =
        std::async(std::launch::async, [&, chunk_size = descriptor.chunk_size] { return hash_chunks(fd, name, size, chunk_size, stop); });
    // In this thread: the slower of the two.
    base::Hasher whole(base::Hasher::Kind::sha3_224);
    try {
        read_blocks(fd, name, 0, size, [&](auto block, uint64_t done) {
            whole.update(block);
            progress(done, size);
        });
    } catch (...) {
        stop = true;  // the future's destructor waits for it
        throw;
    }
    descriptor.chunks = chunks.get();
    descriptor.sha3 = whole.hex();
    return descriptor;
}

DescribedImage load_or_compute_descriptor(const std::filesystem::path& image, uint64_t chunk_size,
                                          const std::function<void(const std::string&)>& say,
                                          const std::function<void(uint64_t, uint64_t)>& progress, const std::optional<Descriptor>& known) {
    DescribedImage result{image, image.string() + ".descr.bin", {}, {}};
    const base::UniqueFd fd = base::open_file(image, O_RDONLY | O_NONBLOCK);
    const struct stat status = status_of(fd.get(), image.string());
    if (chunk_size == 0) chunk_size = chunk_size_for(static_cast<uint64_t>(status.st_size));

    std::optional<std::string> bytes = usable(result.descriptor_path, status, chunk_size, say);
    if (bytes) {
        result.descriptor = parse_descriptor(std::as_bytes(std::span(*bytes)));
        say(" -- file descriptor already exists and is newer");
        say("Image link (for use in SDK): " + result.descriptor.sha3);
    } else {
        say(" * Writing file descriptor to " + result.descriptor_path.string());
        result.descriptor = known ? *known : compute_descriptor(fd.get(), image.string(), chunk_size, progress);
        const struct stat after = status_of(fd.get(), image.string());
        if (older(status.st_mtim, after.st_mtim)) throw base::Error(image.string() + ": it changed while it was read");
        bytes = serialize(result.descriptor);
        base::replace_file(result.descriptor_path, *bytes);
        say(" -- file descriptor created successfully");
        say(" -- image link (for use in SDK): " + result.descriptor.sha3);
    }
    result.descriptor_hash = base::sha256_hex(std::as_bytes(std::span(*bytes)));
    return result;
}

}  // namespace registry
