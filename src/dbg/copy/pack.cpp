#include "dbg/copy/pack.h"

#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/rlimit.h"
#include "oci/folder.h"

namespace dbg {
namespace {

std::unique_ptr<oci::Entries> open_source(const std::filesystem::path& source, bool folder) {
    struct stat status {};
    const int result = folder ? ::stat(source.c_str(), &status) : ::lstat(source.c_str(), &status);
    if (result < 0) throw base::SystemError(errno, source.string());
    if (S_ISDIR(status.st_mode)) return oci::open_folder(source);
    if (folder) throw base::SystemError(ENOTDIR, source.string());
    return oci::open_one_file(source);
}

// Not those that speak of this machine: labels, and lists of its users.
void keep_portable_attributes(oci::TarEntry& entry, bool owners) {
    std::erase_if(entry.attributes, [owners](const std::pair<std::string, std::string>& attribute) {
        return !attribute.first.starts_with("user.") && !(owners && attribute.first == "security.capability");
    });
}

std::string below(const std::string& name, const std::string& path) {
    if (path == ".") return name;
    return name + "/" + path;
}

}  // namespace

Packed pack(const std::filesystem::path& source, const std::string& name, bool folder, bool owners, oci::TarWriter::Sink sink) {
    base::raise_soft_limit(RLIMIT_NOFILE);  // each folder on the way down is held open
    const std::unique_ptr<oci::Entries> entries = open_source(source, folder);
    oci::TarWriter tar(std::move(sink));
    Packed packed;
    oci::TarEntry entry;
    while (entries->next(entry)) {
        if (entry.type == oci::TarEntry::Type::socket) {
            packed.sockets_left_out++;
            continue;
        }
        entry.path = below(name, entry.path);
        if (entry.type == oci::TarEntry::Type::hard_link) entry.target = below(name, entry.target);
        if (!owners) entry.uid = entry.gid = 0;
        keep_portable_attributes(entry, owners);
        tar.add(entry);
        if (entry.type != oci::TarEntry::Type::file) continue;
        oci::copy_data(
            *entries, entry.size, [&](uint64_t count) { tar.write_zeros(count); },
            [&](std::span<const std::byte> bytes) { tar.write(bytes); });
        packed.bytes += entry.size;
    }
    tar.finish();
    return packed;
}

}  // namespace dbg
