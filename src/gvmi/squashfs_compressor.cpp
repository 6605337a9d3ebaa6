#include "gvmi/squashfs_compressor.h"

#include <sqfs/error.h>
#include <sqfs/io.h>
#include <sqfs/super.h>

#include <algorithm>
#include <array>
#include <new>

#include "base/times.h"

namespace gvmi {
namespace {

// libsquashfs sees only the base and calls through its pointers.
struct Adapter : sqfs_compressor_t {
    Compression compression;
    bool decompresses = false;
    uint32_t block_size = 0;
    std::unique_ptr<Coder> coder;
};

void destroy(sqfs_object_t* object) {
    delete reinterpret_cast<Adapter*>(object);
}

void get_configuration(const sqfs_compressor_t* object, sqfs_compressor_config_t* configuration) {
    const auto* self = static_cast<const Adapter*>(object);
    *configuration = {};
    configuration->id = static_cast<sqfs_u16>(self->compression.method);
    configuration->flags = self->decompresses ? SQFS_COMP_FLAG_UNCOMPRESS : 0;
    configuration->block_size = self->block_size;
    configuration->level = static_cast<uint32_t>(self->compression.level);
}

// Only readers of lz4 need options: the version of its format, 1, and that its high compression was used, 1. They are an uncompressed
// metadata block right after the superblock.
int write_options(sqfs_compressor_t* object, sqfs_file_t* file) {
    if (static_cast<Adapter*>(object)->compression.method != Method::lz4) return 0;
    constexpr std::array<sqfs_u8, 10> kOptions = {8, 0x80, 1, 0, 0, 0, 1, 0, 0, 0};
    const int result = file->write_at(file, sizeof(sqfs_super_t), kOptions.data(), kOptions.size());
    return result == 0 ? static_cast<int>(kOptions.size()) : result;
}

int read_options(sqfs_compressor_t*, sqfs_file_t*) {
    return 0;
}

// C calls this: no exception may pass.
sqfs_s32 code(sqfs_compressor_t* object, const sqfs_u8* in, sqfs_u32 size, sqfs_u8* out, sqfs_u32 out_size) {
    const auto* self = static_cast<const Adapter*>(object);
    // 0 means "store it uncompressed", unless the result is smaller than the input.
    const size_t room = self->decompresses ? out_size : std::min(out_size, size == 0 ? 0 : size - 1);
    if (room == 0) return 0;
    const base::Timed timed(base::Work::compress);
    try {
        const std::span plain(reinterpret_cast<const std::byte*>(in), size);
        if (!self->decompresses && looks_incompressible(plain)) return 0;
        const auto result = self->coder->code(plain, {reinterpret_cast<std::byte*>(out), room});
        if (!result) return self->decompresses ? sqfs_s32{SQFS_ERROR_COMPRESSOR} : 0;
        return static_cast<sqfs_s32>(*result);
    } catch (const std::bad_alloc&) {
        return SQFS_ERROR_ALLOC;
    }
}

sqfs_object_t* copy(const sqfs_object_t* object);

sqfs_compressor_t* make(const Compression& compression, uint32_t block_size, bool decompresses) {
    auto self = std::make_unique<Adapter>();
    self->base.destroy = destroy;
    self->base.copy = copy;
    self->get_configuration = get_configuration;
    self->write_options = write_options;
    self->read_options = read_options;
    self->do_block = code;
    self->compression = compression;
    self->decompresses = decompresses;
    self->block_size = block_size;
    self->coder = decompresses ? make_decoder(compression.method) : make_encoder(compression, block_size);
    return self.release();
}

// Each of libsquashfs's workers has its own copy.
sqfs_object_t* copy(const sqfs_object_t* object) {
    const auto* self = reinterpret_cast<const Adapter*>(object);
    try {
        return &make(self->compression, self->block_size, self->decompresses)->base;
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

}  // namespace

sqfs_compressor_t* make_squashfs_compressor(const Compression& compression, uint32_t block_size) {
    return make(compression, block_size, false);
}

sqfs_compressor_t* make_squashfs_decompressor(Method method, uint32_t block_size) {
    return make({method, 0}, block_size, true);
}

}  // namespace gvmi
