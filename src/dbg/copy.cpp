#include "dbg/copy.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/temporary_folder.h"
#include "base/untrusted_text.h"
#include "dbg/copy/copy_place.h"
#include "dbg/copy/pack.h"
#include "dbg/copy/put_tree.h"
#include "dbg/copy/unpack.h"
#include "dbg/guest_program.h"

namespace dbg {
namespace fs = std::filesystem;
namespace {

constexpr int kMaxFollowed = 40;  // as Linux
constexpr const char* kMade = "made";

// Where the copy goes on this machine.
struct Target {
    fs::path path;         // of the copy itself; of a content, the folder that takes it
    fs::path folder;       // that takes the temporary folder
    bool is_file = false;  // a file is there
};

Target find_target(const std::string& given, const SourceName& source) {
    struct stat status {};
    const bool exists = ::stat(given.c_str(), &status) == 0;
    if (!exists && errno != ENOENT) throw base::SystemError(errno, given);
    const fs::path path = exists ? fs::canonical(given) : fs::absolute(given);
    if (exists && S_ISDIR(status.st_mode)) return {.path = source.name.empty() ? path : path / source.name, .folder = path};
    if (source_name(given).folder) throw base::Error(given + ": no such folder");
    if (!fs::is_directory(path.parent_path())) throw base::Error(path.parent_path().string() + ": no such folder");
    return {.path = path, .folder = path.parent_path(), .is_file = exists};
}

// The part of init that reads it: its path, and the name that it has in the tar.
struct Wanted {
    std::string path;
    std::string name;
};

Wanted wanted(const SourceName& source) {
    if (!source.folder) return {.path = source.path, .name = source.name};
    return {.path = content_of(source.path), .name = "."};
}

std::string left_out(uint64_t count, const char* what) {
    if (count == 0) return {};
    return std::to_string(count) + " " + what + (count == 1 ? " was left out\n" : "s were left out\n");
}

// Copies `path` of the VM. Where `link` is given and it is a symbolic link, that says where it leads, and nothing is copied.
Copied fetch(const Vm& vm, const std::string& path, const Target& target, const CopyOptions& options, std::string* link) {
    const Wanted asked = wanted(source_name(path));
    GuestProgram program(vm, debug::TAR_CREATE, {asked.path}, GuestProgram::Use::read);
    // Goes before the program does, so that no signal can keep it.
    const base::TemporaryFolder folder(target.folder, ".gvmkit-cp-");
    const UnpackOptions how{.owners = options.owners, .only_a_file = target.is_file, .limit_bytes = options.limit_bytes};
    const Unpacked unpacked = unpack(output_of(program), asked.name, folder.path(), kMade, how);
    if (link) *link = unpacked.link;
    if (link && !link->empty()) return {};
    const fs::path made = folder.path() / kMade;
    if (!fs::exists(fs::symlink_status(made))) throw base::Error(vm.name + ":" + base::escape(path) + " is a device");
    put_tree(made, target.path);
    return {.bytes = unpacked.bytes, .warnings = program.warnings() + left_out(unpacked.devices_left_out, "device")};
}

fs::path real_path(const std::string& path) {
    std::error_code error;
    fs::path real = fs::canonical(path, error);
    if (error) throw base::SystemError(error.value(), path);
    return real;
}

// Where a link leads, from the folder that it is in.
std::string behind(const std::string& path, const std::string& link) {
    return link.starts_with('/') ? link : path.substr(0, path.rfind('/') + 1) + link;
}

}  // namespace

Copied copy_out(const Vm& vm, const std::string& source, const std::string& target, const CopyOptions& options) {
    if (options.owners && ::geteuid() != 0) throw base::Error("-a: only root can give files to other users");
    const Target to = find_target(target, source_name(source));
    if (!options.follow) return fetch(vm, source, to, options, nullptr);
    std::string path = source;
    for (int followed = 0; followed < kMaxFollowed && path.size() < PATH_MAX; ++followed) {
        std::string link;
        Copied copied = fetch(vm, path, to, options, &link);
        if (link.empty()) return copied;
        path = behind(path, link);
    }
    throw base::SystemError(ELOOP, vm.name + ":" + source);
}

Copied copy_in(const std::string& source, const Vm& vm, const std::string& target, const CopyOptions& options) {
    SourceName from = source_name(source);
    // The content of "." and of "..", too.
    const std::string name = from.name.empty() ? "." : from.name;
    const fs::path path = options.follow && !from.folder ? real_path(from.path) : fs::path(from.path);
    struct stat status {};
    if (::lstat(path.c_str(), &status) < 0) throw base::SystemError(errno, source);  // before the VM is asked
    GuestProgram program(vm, debug::TAR_EXTRACT, {target, name}, GuestProgram::Use::write);
    const oci::TarWriter::Sink sink = [&program](std::span<const std::byte> bytes) { program.write(bytes); };
    const Packed packed = pack(path, name, from.folder, options.owners, sink);
    program.finish();
    return {.bytes = packed.bytes, .warnings = left_out(packed.sockets_left_out, "socket")};
}

}  // namespace dbg
