#include "gvmi/deflate.h"

#include <libdeflate.h>
#include <sqfs/error.h>
#include <sqfs/super.h>

#include <memory>
#include <new>

namespace gvmi {
namespace {

// libsquashfs sees the base alone and calls through its pointers.
struct Deflate : sqfs_compressor_t {
    int level = 0;  // 0: decompresses
    uint32_t block_size = 0;
    libdeflate_compressor* compressor = nullptr;
    libdeflate_decompressor* decompressor = nullptr;
};

void destroy(sqfs_object_t* object) {
    auto* self = reinterpret_cast<Deflate*>(object);
    libdeflate_free_compressor(self->compressor);
    libdeflate_free_decompressor(self->decompressor);
    delete self;
}

void get_configuration(const sqfs_compressor_t* object, sqfs_compressor_config_t* configuration) {
    const auto* self = static_cast<const Deflate*>(object);
    *configuration = {};
    configuration->id = SQFS_COMP_GZIP;
    configuration->flags = self->level == 0 ? SQFS_COMP_FLAG_UNCOMPRESS : 0;
    configuration->block_size = self->block_size;
    configuration->level = static_cast<uint32_t>(self->level);
}

// A reader of gzip needs no options, so none are stored.
int no_options(sqfs_compressor_t*, sqfs_file_t*) {
    return 0;
}

sqfs_s32 compress(sqfs_compressor_t* object, const sqfs_u8* in, sqfs_u32 size, sqfs_u8* out, sqfs_u32 out_size) {
    const auto* self = static_cast<const Deflate*>(object);
    if (size == 0) return 0;
    // 0, which is "store it as it is", unless the result is smaller than the input.
    return static_cast<sqfs_s32>(libdeflate_zlib_compress(self->compressor, in, size, out, std::min(out_size, size - 1)));
}

sqfs_s32 decompress(sqfs_compressor_t* object, const sqfs_u8* in, sqfs_u32 size, sqfs_u8* out, sqfs_u32 out_size) {
    const auto* self = static_cast<const Deflate*>(object);
    size_t written = 0;
    const auto result = libdeflate_zlib_decompress(self->decompressor, in, size, out, out_size, &written);
    return result == LIBDEFLATE_SUCCESS ? static_cast<sqfs_s32>(written) : sqfs_s32{SQFS_ERROR_COMPRESSOR};
}

sqfs_object_t* copy(const sqfs_object_t* object);

sqfs_compressor_t* make(int level, uint32_t block_size) {
    auto self = std::make_unique<Deflate>();
    self->base.destroy = destroy;
    self->base.copy = copy;
    self->get_configuration = get_configuration;
    self->write_options = no_options;
    self->read_options = no_options;
    self->do_block = level == 0 ? decompress : compress;
    self->level = level;
    self->block_size = block_size;
    if (level == 0) {
        self->decompressor = libdeflate_alloc_decompressor();
    } else {
        self->compressor = libdeflate_alloc_compressor(level);
    }
    if (self->compressor == nullptr && self->decompressor == nullptr) throw std::bad_alloc();
    return self.release();
}

// Each of libsquashfs's workers has a copy of its own.
sqfs_object_t* copy(const sqfs_object_t* object) {
    const auto* self = reinterpret_cast<const Deflate*>(object);
    try {
        return &make(self->level, self->block_size)->base;
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

}  // namespace

sqfs_compressor_t* make_deflate_compressor(int level, uint32_t block_size) {
    return make(level, block_size);
}

sqfs_compressor_t* make_deflate_decompressor(uint32_t block_size) {
    return make(0, block_size);
}

}  // namespace gvmi
