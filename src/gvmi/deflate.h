#pragma once

#include <sqfs/compressor.h>

namespace gvmi {

// A squashfs compressor for gzip (zlib streams) by libdeflate, which is three times as fast as zlib at the same size. `level` is 1 to 12,
// of which 10 to 12 are libdeflate's own. Throws std::bad_alloc. The caller frees it with sqfs_destroy.
sqfs_compressor_t* make_deflate_compressor(int level, uint32_t block_size);

// The other way.
sqfs_compressor_t* make_deflate_decompressor(uint32_t block_size);

}  // namespace gvmi
