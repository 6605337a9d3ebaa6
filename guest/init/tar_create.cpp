#include "init/tar_create.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <set>

#include "base/fd.h"
#include "init/names.h"
#include "init/path.h"
#include "init/tar_writer.h"
#include "init/write_all.h"

namespace init {
namespace {

// Their files are views of the kernel: endless, without a size, or with an effect when they are read.
constexpr const char* kKernelTypes[] = {"autofs", "binfmt_misc", "bpf",        "cgroup",    "cgroup2", "configfs", "debugfs",
                                        "devpts", "devtmpfs",    "efivarfs",   "fusectl",   "mqueue",  "nsfs",     "proc",
                                        "pstore", "rpc_pipefs",  "securityfs", "selinuxfs", "sysfs",   "tracefs"};

// The device numbers of all that are mounted. statfs does not tell a devtmpfs from a tmpfs.
std::set<dev_t> kernel_devices() {
    std::set<dev_t> devices;
    std::FILE* file = std::fopen("/proc/self/mountinfo", "re");
    if (file == nullptr) return devices;
    char* line = nullptr;
    size_t size = 0;
    while (::getline(&line, &size, file) > 0) {
        unsigned major = 0;
        unsigned minor = 0;
        char type[32] = "";
        const char* rest = std::strstr(line, " - ");
        if (rest == nullptr || std::sscanf(line, "%*u %*u %u:%u", &major, &minor) != 2 || std::sscanf(rest, " - %31s", type) != 1) continue;
        const auto same = [&](const char* kernel) { return std::strcmp(kernel, type) == 0; };
        if (std::any_of(std::begin(kKernelTypes), std::end(kKernelTypes), same)) devices.insert(makedev(major, minor));
    }
    std::free(line);  // NOLINT(cppcoreguidelines-no-malloc): getline's
    (void)std::fclose(file);
    return devices;
}

class Creation {
public:
    Creation(int out, int messages) : writer_(out), messages_(messages), kernel_(kernel_devices()) {}

    bool of_kernel(const struct stat& st) const { return kernel_.contains(st.st_dev); }
    // Adds it, and what it holds.
    Status add(int folder, const char* name, const std::string& tar_name, unsigned depth = 0);
    Status finish() { return writer_.finish(); }

private:
    Status add_content(int folder, const char* name, const std::string& tar_name, unsigned depth);

    TarWriter writer_;
    int messages_;
    std::set<dev_t> kernel_;
};

Status Creation::add(int folder, const char* name, const std::string& tar_name, unsigned depth) {
    struct stat st {};
    if (::fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? Status{} : failure(errno, {tar_name});
    if (S_ISSOCK(st.st_mode)) {
        tell(messages_, {tar_name, ": a socket is left out"});
        return {};
    }
    if (Status status = writer_.add(folder, name, tar_name); !status.ok()) return status;
    return S_ISDIR(st.st_mode) && !of_kernel(st) ? add_content(folder, name, tar_name, depth) : Status{};
}

Status Creation::add_content(int folder, const char* name, const std::string& tar_name, unsigned depth) {
    if (depth == kMostNested) return failure({tar_name, ": there are more than 2048 folders in one another"});
    const base::UniqueFd fd(::openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return errno == ENOENT || errno == ELOOP || errno == ENOTDIR ? Status{} : failure(errno, {tar_name});
    Names names;
    if (const Status status = names.add(fd.get()); !status.ok()) return failure({tar_name, ": ", status.text});
    names.sort();
    for (size_t i = 0; i < names.size(); i++) {
        if (Status status = add(fd.get(), names[i], cat({tar_name, "/", names[i]}), depth + 1); !status.ok()) return status;
    }
    return {};
}

}  // namespace

Status create_tar(const std::string& path, int out, int messages) {
    if (!path.starts_with('/')) return failure({path, ": is not absolute"});
    std::string_view rest = path;
    while (rest.size() > 1 && rest.ends_with('/'))
        rest.remove_suffix(1);
    const size_t slash = rest.rfind('/');
    const std::string_view last = rest.substr(slash + 1);
    const bool content = last.empty() || last == "." || last == "..";
    const std::string name(content ? "." : last);
    const bool is_folder = content || rest.size() < path.size();  // even through a link
    const std::string parent(is_folder ? std::string_view(path) : rest.substr(0, slash + 1));
    const base::UniqueFd folder(::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder) return failure(errno, {path});
    const char* const entry = is_folder ? "." : name.c_str();
    struct stat st {};
    if (::fstatat(folder.get(), entry, &st, AT_SYMLINK_NOFOLLOW) < 0) return failure(errno, {path});
    if (S_ISSOCK(st.st_mode)) return failure({path, ": is a socket"});
    Creation creation(out, messages);
    if (creation.of_kernel(st)) return failure({path, ": is in a file system of the kernel, which cannot be copied"});
    if (Status status = creation.add(folder.get(), entry, name); !status.ok()) return status;
    return creation.finish();
}

}  // namespace init
