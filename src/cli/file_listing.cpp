#include "cli/file_listing.h"

#include <sys/stat.h>

#include <array>
#include <cstdio>
#include <span>

#include "base/hex.h"
#include "base/untrusted_text.h"

namespace cli {
nlohmann::json describe(const std::string& path, const gvmi::File& file, const gvmi::Attributes& attributes) {
    std::array<char, 8> mode{};
    (void)std::snprintf(mode.data(), mode.size(), "%06o", file.mode);
    nlohmann::json result = {{"path", base::escape(path)}, {"mode", mode.data()}, {"uid", file.uid},     {"gid", file.gid},
                             {"time", file.mtime},         {"links", file.links}, {"inode", file.number}};
    if (S_ISREG(file.mode)) result["size"] = file.size;
    if (S_ISLNK(file.mode)) result["target"] = base::escape(file.target);
    if (S_ISBLK(file.mode) || S_ISCHR(file.mode)) result["device"] = std::to_string(file.major) + ":" + std::to_string(file.minor);
    for (const auto& [name, value] : attributes)
        result["attributes"][base::escape(name)] = base::to_hex(std::as_bytes(std::span(value)));
    return result;
}

}  // namespace cli
