#include "dbg/outbound_access.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "registry/manifest.h"

namespace dbg {

outbound::Access outbound_access(const std::string& option) {
    constexpr size_t kMaxManifest = 1 << 20;
    if (option == "all") return {};
    const std::string text = base::read_file(option, kMaxManifest);
    outbound::Access access;
    base::with_context(option, [&] {
        const nlohmann::ordered_json manifest = base::parse_json(text);
        registry::check_manifest(manifest);
        registry::check_manifest_time(manifest, std::time(nullptr));
        access = outbound::manifest_access(manifest);
        outbound::resolve(access);
    });
    return access;
}

}  // namespace dbg
