// The table of a thin image: any bytes are read or refused by a base::Error.
#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "base/hash.h"
#include "gvmi/thin_table.h"

namespace {

std::string little(uint64_t value, size_t bytes) {
    std::string text;
    for (size_t i = 0; i < bytes; i++)
        text.push_back(static_cast<char>(value >> (8 * i) & 0xff));
    return text;
}

void read(const std::string& part) {
    const base::UniqueFd fd(::memfd_create("image", MFD_CLOEXEC));
    std::string stub = "hsqs" + std::string(24, '\0') + little(4, 2) + little(0, 2) + std::string(8, '\0') + little(96, 8);
    stub.resize(96);
    base::write_all(fd.get(), stub + part + gvmi::make_trailer(nlohmann::json::object()), "image");
    const gvmi::Image image = gvmi::read_image(fd.get(), "image");
    try {
        const auto table = gvmi::read_thin_table(fd.get(), image, "image");
        // What was read can be written, and is the same then.
        if (table && !part.ends_with(gvmi::make_thin_part(*table))) std::abort();
    } catch (const base::Error&) {
        // refused
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string content(reinterpret_cast<const char*>(data), size);
    read(content);
    // With a good footer: the table alone.
    read(content + "GVMITHIN" + little(1, 4) + little(base::crc32(std::as_bytes(std::span(content))), 4) + little(size, 8));
    return 0;
}
