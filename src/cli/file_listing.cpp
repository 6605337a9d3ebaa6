#include "cli/file_listing.h"

#include <sys/stat.h>

#include <array>
#include <cstdio>
#include <span>

#include "base/hex.h"
#include "base/untrusted_text.h"

namespace cli {
namespace {

char type_letter(mode_t mode) {
    switch (mode & S_IFMT) {
        case S_IFDIR:
            return 'd';
        case S_IFLNK:
            return 'l';
        case S_IFBLK:
            return 'b';
        case S_IFCHR:
            return 'c';
        case S_IFIFO:
            return 'p';
        case S_IFSOCK:
            return 's';
        default:
            return '-';
    }
}

}  // namespace

std::string mode_text(mode_t mode) {
    std::string text(1, type_letter(mode));
    for (int i = 8; i >= 0; i--)
        text.push_back((mode >> i & 1) != 0 ? "xwr"[i % 3] : '-');
    const auto special = [&](mode_t bit, size_t at, char with, char without) {
        if ((mode & bit) != 0) text[at] = text[at] == 'x' ? with : without;
    };
    special(S_ISUID, 3, 's', 'S');
    special(S_ISGID, 6, 's', 'S');
    special(S_ISVTX, 9, 't', 'T');
    return text;
}

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
