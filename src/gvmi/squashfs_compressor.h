#pragma once

#include <sqfs/compressor.h>

#include "gvmi/compression.h"

namespace gvmi {

// Our coders as libsquashfs's compressors. Throw std::bad_alloc. The caller frees them with sqfs_destroy.
sqfs_compressor_t* make_squashfs_compressor(const Compression& compression, uint32_t block_size);
sqfs_compressor_t* make_squashfs_decompressor(Method method, uint32_t block_size);

}  // namespace gvmi
