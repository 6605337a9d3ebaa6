// A stranger's squashfs as `gvmi` reads it: any bytes are read, or refused by a base::Error.
#include <sys/mman.h>

#include <cstdint>

#include "base/error.h"
#include "base/fd.h"
#include "gvmi/diff.h"
#include "gvmi/image.h"
#include "gvmi/squashfs_reader.h"
#include "gvmi/squashfs_tree.h"
#include "gvmi/verify.h"
#include "lint/lint.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const base::UniqueFd fd(::memfd_create("squashfs", MFD_CLOEXEC));
    base::write_all(fd.get(), std::as_bytes(std::span(data, size)), "squashfs");
    const gvmi::Limits limits{.entries = 10000, .bytes = uint64_t{16} << 20};
    const auto attempt = [](const auto& body) {
        try {
            body();
        } catch (const base::Error&) {
            // refused
        }
    };
    attempt([&] {
        gvmi::SquashfsReader reader(fd.get());
        attempt([&] { (void)gvmi::verify(reader, limits); });
        attempt([&] { (void)gvmi::find(reader, "/d/../link/file"); });
        attempt([&] { gvmi::diff(reader, reader, limits, [](const gvmi::Difference&) {}); });
        attempt([&] {
            const nlohmann::json config = {{"User", "user"}, {"Entrypoint", {"/d/file"}}, {"Volumes", {{"/d", nlohmann::json::object()}}}};
            (void)lint::lint(reader, gvmi::parse_config(config), size);
        });
    });
    return 0;
}
