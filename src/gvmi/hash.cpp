#include "gvmi/hash.h"

#include <vector>

#include "base/fd.h"
#include "base/hash.h"
#include "base/times.h"

namespace gvmi {

std::string image_hash(int fd, const std::string& name, const std::function<void(uint64_t)>& progress) {
    return image_hash([&](std::span<std::byte> buffer, uint64_t position) { return base::pread_full(fd, buffer, position, name); },
                      progress);
}

std::string image_hash(const ReadAt& read, const std::function<void(uint64_t)>& progress) {
    base::Hasher hasher(base::Hasher::Kind::sha3_224);
    std::vector<std::byte> buffer(size_t{1} << 20);
    for (uint64_t offset = 0;;) {
        const size_t n = read(buffer, offset);
        if (n == 0) return hasher.hex();
        const base::Timed timed(base::Work::hash);
        hasher.update(std::span(buffer).first(n));
        offset += n;
        if (progress) progress(offset);
    }
}

}  // namespace gvmi
