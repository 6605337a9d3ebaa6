// A stranger's image configuration: any JSON becomes a container configuration that readers take, or is refused by a base::Error.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "convert/config.h"
#include "gvmi/image.h"
#include "oci/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    const auto attempt = [](const auto& body) {
        try {
            body();
        } catch (const base::Error&) {
            // refused
        }
    };
    attempt([&] {
        oci::Image image;
        image.id = std::string(64, '0');
        image.config = base::parse_json(text);
        convert::Changes changes;
        changes.env = {"A=1"};
        changes.volumes = {"/v"};
        std::vector<std::string> notes;
        const nlohmann::json config = convert::container_config(image, changes, notes);
        // The result is one that a reader takes, unchanged.
        if (gvmi::parse_config(config).json != config || gvmi::make_trailer(config).empty()) std::abort();
        // Nothing is left to normalise: an image made of the result has the same configuration, and needs no notes.
        image.config = {{"config", config}};
        notes.clear();
        if (convert::container_config(image, changes, notes) != config || !notes.empty()) std::abort();
    });
    attempt([&] { (void)oci::parse_image_config(text, 1, "linux/amd64"); });
    return 0;
}
