#include "gvmi/compression.h"

#include <libdeflate.h>
#include <lz4.h>
#include <lz4hc.h>
#include <lzma.h>
#include <lzo/lzo1x.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <new>
#include <vector>

#include "base/error.h"

namespace gvmi {
namespace {

struct MethodName {
    Method method;
    const char* name;
    Levels levels;
};

// The standard levels are chosen by the table of bench/images.py; lzo's is mksquashfs's.
constexpr std::array kNames = {
    MethodName{Method::gzip, "gzip", {2, 9}}, MethodName{Method::lzo, "lzo", {8, 9}},    MethodName{Method::lz4, "lz4", {0, 0}},
    MethodName{Method::xz, "xz", {0, 0}},     MethodName{Method::zstd, "zstd", {3, 22}},
};

const MethodName& entry(Method method) {
    for (const MethodName& name : kNames) {
        if (name.method == method) return name;
    }
    throw base::Error("no such compressor");
}

template <typename T, auto free>
struct Free {
    void operator()(T* object) const { free(object); }
};
template <typename T, auto free>
using Handle = std::unique_ptr<T, Free<T, free>>;

template <typename HandleType>
HandleType made(HandleType handle) {
    if (!handle) throw std::bad_alloc();
    return handle;
}

// Zlib streams by libdeflate, which is three times as fast as zlib at the same size.
class DeflateEncoder : public Coder {
public:
    explicit DeflateEncoder(int level) : compressor_(made(Compressor(libdeflate_alloc_compressor(level)))) {}

    std::optional<size_t> code(std::span<const std::byte> in, std::span<std::byte> out) override {
        const size_t size = libdeflate_zlib_compress(compressor_.get(), in.data(), in.size(), out.data(), out.size());
        return size == 0 ? std::nullopt : std::optional(size);
    }

private:
    using Compressor = Handle<libdeflate_compressor, libdeflate_free_compressor>;
    Compressor compressor_;
};

class DeflateDecoder : public Coder {
public:
    DeflateDecoder() : decompressor_(made(Decompressor(libdeflate_alloc_decompressor()))) {}

    std::optional<size_t> code(std::span<const std::byte> in, std::span<std::byte> out) override {
        size_t size = 0;
        const auto result = libdeflate_zlib_decompress(decompressor_.get(), in.data(), in.size(), out.data(), out.size(), &size);
        return result == LIBDEFLATE_SUCCESS ? std::optional(size) : std::nullopt;
    }

private:
    using Decompressor = Handle<libdeflate_decompressor, libdeflate_free_decompressor>;
    Decompressor decompressor_;
};

class ZstdEncoder : public Coder {
public:
    explicit ZstdEncoder(int level) : context_(made(Context(ZSTD_createCCtx()))), level_(level) {}

    std::optional<size_t> code(std::span<const std::byte> in, std::span<std::byte> out) override {
        const size_t size = ZSTD_compressCCtx(context_.get(), out.data(), out.size(), in.data(), in.size(), level_);
        return ZSTD_isError(size) != 0 ? std::nullopt : std::optional(size);
    }

private:
    using Context = Handle<ZSTD_CCtx, ZSTD_freeCCtx>;
    Context context_;
    int level_;
};

class ZstdDecoder : public Coder {
public:
    ZstdDecoder() : context_(made(Context(ZSTD_createDCtx()))) {}

    std::optional<size_t> code(std::span<const std::byte> in, std::span<std::byte> out) override {
        const size_t size = ZSTD_decompressDCtx(context_.get(), out.data(), out.size(), in.data(), in.size());
        return ZSTD_isError(size) != 0 ? std::nullopt : std::optional(size);
    }

private:
    using Context = Handle<ZSTD_DCtx, ZSTD_freeDCtx>;
    Context context_;
};

uint8_t* octets(std::span<std::byte> bytes) {
    return reinterpret_cast<uint8_t*>(bytes.data());
}

const uint8_t* octets(std::span<const std::byte> bytes) {
    return reinterpret_cast<const uint8_t*>(bytes.data());
}

// A .xz of one LZMA2 filter, whose dictionary is a block: what the kernel's decompressor takes.
class XzEncoder : public Coder {
public:
    explicit XzEncoder(uint32_t block_size) {
        if (lzma_lzma_preset(&options_, LZMA_PRESET_DEFAULT)) throw std::bad_alloc();
        options_.dict_size = block_size;
    }

    std::optional<size_t> code(std::span<const std::byte> in, std::span<std::byte> out) override {
        std::array<lzma_filter, 2> filters = {lzma_filter{LZMA_FILTER_LZMA2, &options_}, lzma_filter{LZMA_VLI_UNKNOWN, nullptr}};
        size_t size = 0;
        const lzma_ret result =
            lzma_stream_buffer_encode(filters.data(), LZMA_CHECK_CRC32, nullptr, octets(in), in.size(), octets(out), &size, out.size());
        if (result == LZMA_MEM_ERROR) throw std::bad_alloc();
        return result == LZMA_OK ? std::optional(size) : std::nullopt;
    }

private:
    lzma_options_lzma options_{};
};

class XzDecoder : public Coder {
public:
    std::optional<size_t> code(std::span<const std::byte> in, std::span<std::byte> out) override {
        uint64_t memory = uint64_t{64} << 20;  // a stranger's dictionary; ours are 128 KiB
        size_t read = 0;
        size_t size = 0;
        const lzma_ret result =
            lzma_stream_buffer_decode(&memory, 0, nullptr, octets(in), &read, in.size(), octets(out), &size, out.size());
        return result == LZMA_OK ? std::optional(size) : std::nullopt;
    }
};

const char* chars(std::span<const std::byte> bytes) {
    return reinterpret_cast<const char*>(bytes.data());
}

char* chars(std::span<std::byte> bytes) {
    return reinterpret_cast<char*>(bytes.data());
}

// Both directions take blocks of at most 1 MiB, so that sizes are ints.
int size_of(std::span<const std::byte> bytes) {
    return static_cast<int>(bytes.size());
}

class Lz4Encoder : public Coder {
public:
    Lz4Encoder() : state_(static_cast<size_t>(LZ4_sizeofStateHC())) {}

    std::optional<size_t> code(std::span<const std::byte> in, std::span<std::byte> out) override {
        const int size = LZ4_compress_HC_extStateHC(state_.data(), chars(in), chars(out), size_of(in), size_of(out), LZ4HC_CLEVEL_MAX);
        return size <= 0 ? std::nullopt : std::optional(static_cast<size_t>(size));
    }

private:
    std::vector<std::byte> state_;
};

class Lz4Decoder : public Coder {
public:
    std::optional<size_t> code(std::span<const std::byte> in, std::span<std::byte> out) override {
        const int size = LZ4_decompress_safe(chars(in), chars(out), size_of(in), size_of(out));
        return size < 0 ? std::nullopt : std::optional(static_cast<size_t>(size));
    }
};

class LzoEncoder : public Coder {
public:
    // It may write more than it was given room for, and cannot be told how much room there is.
    LzoEncoder(int level, uint32_t block_size) : memory_(LZO1X_999_MEM_COMPRESS), room_(block_size + block_size / 16 + 67), level_(level) {}

    std::optional<size_t> code(std::span<const std::byte> in, std::span<std::byte> out) override {
        lzo_uint size = room_.size();
        if (in.size() + in.size() / 16 + 67 > room_.size()) return std::nullopt;
        const int result =
            lzo1x_999_compress_level(octets(in), in.size(), octets(std::span(room_)), &size, memory_.data(), nullptr, 0, nullptr, level_);
        if (result != LZO_E_OK || size > out.size()) return std::nullopt;
        std::copy_n(room_.begin(), size, out.begin());
        return size;
    }

private:
    std::vector<std::byte> memory_;
    std::vector<std::byte> room_;
    int level_;
};

class LzoDecoder : public Coder {
public:
    std::optional<size_t> code(std::span<const std::byte> in, std::span<std::byte> out) override {
        lzo_uint size = out.size();
        const int result = lzo1x_decompress_safe(octets(in), in.size(), octets(out), &size, nullptr);
        return result == LZO_E_OK ? std::optional<size_t>(size) : std::nullopt;
    }
};

}  // namespace

std::optional<Method> method_by_name(std::string_view name) {
    for (const MethodName& known : kNames) {
        if (name == known.name) return known.method;
    }
    return std::nullopt;
}

std::optional<Method> method_by_number(unsigned number) {
    for (const MethodName& known : kNames) {
        if (number == static_cast<unsigned>(known.method)) return known.method;
    }
    return std::nullopt;
}

const char* name_of(Method method) {
    return entry(method).name;
}

std::vector<std::string> method_names() {
    std::vector<std::string> names;
    names.reserve(kNames.size());
    for (const MethodName& known : kNames)
        names.emplace_back(known.name);
    return names;
}

Levels levels_of(Method method) {
    return entry(method).levels;
}

std::unique_ptr<Coder> make_encoder(const Compression& compression, uint32_t block_size) {
    switch (compression.method) {
        case Method::gzip:
            return std::make_unique<DeflateEncoder>(compression.level);
        case Method::lzo:
            return std::make_unique<LzoEncoder>(compression.level, block_size);
        case Method::xz:
            return std::make_unique<XzEncoder>(block_size);
        case Method::lz4:
            return std::make_unique<Lz4Encoder>();
        case Method::zstd:
            return std::make_unique<ZstdEncoder>(compression.level);
    }
    throw base::Error("no such compressor");
}

std::unique_ptr<Coder> make_decoder(Method method) {
    switch (method) {
        case Method::gzip:
            return std::make_unique<DeflateDecoder>();
        case Method::lzo:
            return std::make_unique<LzoDecoder>();
        case Method::xz:
            return std::make_unique<XzDecoder>();
        case Method::lz4:
            return std::make_unique<Lz4Decoder>();
        case Method::zstd:
            return std::make_unique<ZstdDecoder>();
    }
    throw base::Error("no such compressor");
}

bool looks_incompressible(std::span<const std::byte> block) {
    constexpr size_t kSamples = 16;
    constexpr size_t kSampleSize = 256;
    constexpr uint64_t kSampled = kSamples * kSampleSize;
    if (block.size() < kSampled) return false;
    std::array<uint32_t, 256> counts{};
    for (size_t i = 0; i < kSamples; i++) {
        const size_t start = (block.size() - kSampleSize) * i / (kSamples - 1);
        for (const std::byte value : block.subspan(start, kSampleSize))
            counts[static_cast<size_t>(value)]++;
    }
    uint64_t squares = 0;
    for (const uint64_t count : counts)
        squares += count * count;
    // The mean of random data, and a twentieth: ten times its standard deviation. Text and programs have several times the mean.
    constexpr uint64_t kRandom = kSampled + kSampled * (kSampled - 1) / 256;
    return squares < kRandom + kRandom / 20;
}

}  // namespace gvmi
