// The trailer and superblock of a .gvmi: any bytes are read or refused by a base::Error.
#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "base/hash.h"
#include "gvmi/image.h"

namespace {

void read(const std::string& content) {
    const base::UniqueFd fd(::memfd_create("image", MFD_CLOEXEC));
    base::write_all(fd.get(), content, "image");
    try {
        const gvmi::Image image = gvmi::read_image(fd.get(), "image");
        // What was read can be written, and is the same then.
        const std::string again = content.substr(0, image.trailer_offset) + gvmi::make_trailer(image.config.json);
        const base::UniqueFd copy(::memfd_create("image", MFD_CLOEXEC));
        base::write_all(copy.get(), again, "image");
        if (gvmi::read_image(copy.get(), "image").config.json != image.config.json) std::abort();
    } catch (const base::Error&) {
        // refused
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string content(reinterpret_cast<const char*>(data), size);
    read(content);
    // After a good superblock and before a good length, with a good CRC: the JSON alone.
    std::string image = std::string("hsqs") + std::string(24, '\0') + std::string("\4\0\0\0", 4) + std::string(8, '\0') + "\x60";
    image.resize(96, '\0');
    const uint32_t crc = base::crc32(std::as_bytes(std::span(content)));
    for (int i = 0; i < 4; i++)
        image.push_back(static_cast<char>(crc >> (8 * i) & 0xff));
    const std::string digits = std::to_string(size);
    read(image + content + std::string(8 - digits.size(), '0') + digits);
    return 0;
}
