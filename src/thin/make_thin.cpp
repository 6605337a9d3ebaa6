#include "thin/make_thin.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <span>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/fd.h"
#include "gvmi/hash.h"
#include "gvmi/image.h"
#include "gvmi/squashfs_writer.h"
#include "gvmi/thin_table.h"
#include "thin/block_cache.h"

// guest/thin_stub, as it was built.
asm(R"(
.section .rodata
.balign 16
thin_stub_begin:
.incbin ")" GVMKIT_THIN_STUB R"("
thin_stub_end:
.previous
)");
extern "C" const std::byte thin_stub_begin[];
extern "C" const std::byte thin_stub_end[];

namespace thin {
namespace {

std::vector<gvmi::BlockHash> hash_blocks(int fd, uint64_t size, const std::string& name, const std::atomic<bool>& stop) {
    std::vector<gvmi::BlockHash> hashes;
    std::vector<std::byte> buffer(gvmi::kThinBlock);
    for (uint64_t position = 0; position < size && !stop; position += buffer.size()) {
        const auto block = std::span(buffer).first(static_cast<size_t>(std::min<uint64_t>(buffer.size(), size - position)));
        if (base::pread_full(fd, block, position, name) != block.size()) throw base::Error("it became shorter while it was read");
        hashes.push_back(hash_of(block));
    }
    return hashes;
}

// Both hashes at once, each on a thread.
gvmi::ThinTable describe(int fd, uint64_t size, const std::string& name, const MakeOptions& options) {
    std::atomic<bool> stop = false;
    auto blocks = std::async(std::launch::async, [&] { return hash_blocks(fd, size, name, stop); });
    gvmi::ThinTable table;
    table.size = size;
    table.urls = options.urls;
    table.first_reads = options.first_reads;
    try {
        table.sha3 = gvmi::image_hash(fd, name, [&](uint64_t done) { options.progress(done, size); });
    } catch (...) {
        stop = true;
        throw;
    }
    table.hashes = blocks.get();
    return table;
}

// Numbers the inodes as they are written.
class StubWriter {
public:
    explicit StubWriter(gvmi::SquashfsWriter& writer) : writer_(writer) {}

    using Entries = std::vector<std::pair<std::string_view, gvmi::InodeRef>>;

    gvmi::InodeRef folder(const Entries& entries, uint32_t parent, mode_t mode = 0755) {
        gvmi::Inode inode = next(S_IFDIR | mode);
        inode.links =
            2 + static_cast<uint32_t>(std::count_if(entries.begin(), entries.end(), [](const auto& e) { return S_ISDIR(e.second.mode); }));
        return writer_.write_directory(inode, parent, entries);
    }
    gvmi::InodeRef program(size_t handle) { return writer_.write_file(next(S_IFREG | 0755), handle); }
    gvmi::InodeRef link(const char* target) { return writer_.write_symlink(next(S_IFLNK | 0777), target); }

private:
    gvmi::Inode next(mode_t mode) { return {.mode = mode, .number = ++number_}; }

    gvmi::SquashfsWriter& writer_;
    uint32_t number_ = 0;
};

// What a runtime sees that does not know thin images. Returns its length.
uint64_t write_stub(int fd, const std::string& name) {
    constexpr uint32_t kRoot = 8;  // the last of what is written
    const gvmi::Compression compression{gvmi::Method::gzip, gvmi::levels_of(gvmi::Method::gzip).standard};
    gvmi::SquashfsWriter writer(fd, name, {.compression = compression});
    const size_t handle = writer.begin_file();
    writer.append({thin_stub_begin, thin_stub_end});
    writer.end_file();
    StubWriter stub(writer);
    const gvmi::InodeRef bash = stub.link("sh");
    const gvmi::InodeRef sh = stub.program(handle);
    StubWriter::Entries root{{"bin", stub.folder({{"bash", bash}, {"sh", sh}}, kRoot)}};
    for (const char* folder : {"dev", "etc", "proc", "sys"})
        root.emplace_back(folder, stub.folder({}, kRoot));
    return writer.finish(stub.folder(root, kRoot + 1));
}

}  // namespace

std::string make_thin(const std::filesystem::path& full, const std::filesystem::path& output, const MakeOptions& options) {
    const std::string name = full.string();
    const base::UniqueFd fd = base::open_file(full, O_RDONLY | O_NONBLOCK);
    const gvmi::Image image = gvmi::read_image(fd.get(), name);
    return base::with_context("cannot make a thin image of " + name, [&] {
        if (gvmi::read_thin_table(fd.get(), image, name)) throw base::Error("it is a thin image itself");
        struct stat status {};
        if (::fstat(fd.get(), &status) < 0) base::throw_errno("cannot examine it");
        const gvmi::ThinTable table = describe(fd.get(), static_cast<uint64_t>(status.st_size), name, options);
        const std::string part = gvmi::make_thin_part(table);
        base::AtomicFile file(output);
        (void)write_stub(file.fd().get(), output.string());
        if (::lseek(file.fd().get(), 0, SEEK_END) < 0) base::throw_errno("cannot write ", output);
        file.write(part);
        file.write(gvmi::make_trailer(image.config.json));
        file.commit();
        return table.sha3;
    });
}

}  // namespace thin
