// Two layers' tars, possibly compressed, merged and converted: any bytes become an image or are refused by a base::Error. The first byte
// says where the input is cut in two, the second whether headers get their magic and checksum, without which few inputs get past them.
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "base/hash.h"
#include "convert/convert.h"
#include "convert/tree.h"
#include "oci/stream.h"
#include "oci/tar.h"

namespace {

class Text : public oci::Stream {
public:
    explicit Text(std::string text) : text_(std::move(text)) {}
    std::span<const std::byte> next() override { return std::as_bytes(std::span(std::exchange(given_, true) ? end_ : text_)); }

private:
    std::string text_;
    std::string end_;
    bool given_ = false;
};

void put(std::string& text, size_t offset, std::string_view bytes) {
    std::copy(bytes.begin(), bytes.end(), text.begin() + static_cast<std::ptrdiff_t>(offset));
}

// Turns each block at a header's place into a header.
std::string with_checksums(std::string tar) {
    constexpr size_t kBlock = 512;
    tar.resize((tar.size() + kBlock - 1) / kBlock * kBlock, '\0');
    for (size_t start = 0; start < tar.size();) {
        // Sizes of up to 7 octal digits, so that there is a next header.
        put(tar, start + 124, "0000");
        put(tar, start + 135, std::string_view("\0", 1));
        put(tar, start + 148, "        ");
        put(tar, start + 257, std::string_view("ustar\00000", 8));
        unsigned sum = 0;
        uint64_t size = 0;
        for (size_t i = 0; i < kBlock; i++)
            sum += static_cast<unsigned char>(tar[start + i]);
        for (size_t i = 128; i < 135 && tar[start + i] >= '0' && tar[start + i] < '8'; i++)
            size = size * 8 + static_cast<unsigned>(tar[start + i] - '0');
        std::string digits(6, '0');
        for (size_t i = 6; i-- > 0; sum /= 8)
            digits[i] = static_cast<char>('0' + sum % 8);
        digits.push_back('\0');
        put(tar, start + 148, digits);
        start += kBlock + (size + kBlock - 1) / kBlock * kBlock;
    }
    return tar;
}

void add_layer(oci::Image& image, const std::string& blob) {
    oci::Layer layer;
    layer.open_blob = [blob] { return std::make_unique<Text>(blob); };
    layer.size = blob.size();
    const oci::StreamPtr plain = oci::open_unchecked_layer(layer);
    // Layers that unpack to more than this only cost time.
    const std::string tar = oci::read_all(*plain, size_t{1} << 20);
    layer.diff_id = base::sha256_hex(std::as_bytes(std::span(tar)));
    image.layers.push_back(std::move(layer));
}

// Holes may be terabytes, which is only slow.
bool is_small(const oci::Image& image) {
    constexpr uint64_t kSmall = uint64_t{16} << 20;
    uint64_t total = 0;
    convert::Tree tree;
    for (size_t i = 0; i < image.layers.size(); i++) {
        oci::TarReader reader(oci::open_layer(image.layers[i]));
        oci::TarEntry entry;
        for (uint64_t ordinal = 0; reader.next(entry); ordinal++) {
            total += std::min(entry.size, kSmall);
            tree.apply(i, ordinal, std::move(entry));
        }
    }
    return total < kSmall;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    const std::string content(reinterpret_cast<const char*>(data + 2), size - 2);
    const size_t cut = content.size() / 512 * data[0] / 256 * 512;
    try {
        oci::Image image;
        const bool fix = data[1] % 2 == 0;
        add_layer(image, fix ? with_checksums(content.substr(0, cut)) : content.substr(0, cut));
        add_layer(image, fix ? with_checksums(content.substr(cut)) : content.substr(cut));
        if (!is_small(image)) return 0;
        const base::UniqueFd fd(::memfd_create("image", MFD_CLOEXEC));
        convert::Options options;
        options.compression.level = 1;
        convert::convert(image, nlohmann::json::object(), fd.get(), "image", options);
    } catch (const base::Error&) {
        // refused
    }
    return 0;
}
