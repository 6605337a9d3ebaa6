#include "gvmi/extract.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>

#include "base/error.h"
#include "base/fd.h"
#include "base/rlimit.h"
#include "base/untrusted_text.h"
#include "gvmi/verify.h"

namespace gvmi {
namespace {

void check(int result, const char* what) {
    if (result < 0) base::throw_errno(what);
}

std::string last_name(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

struct Extraction {
    SquashfsReader& reader;
    Budget budget;
    std::string top;  // the path that the folder stands for
    bool special;     // also devices, setuid and setgid
    bool root = ::geteuid() == 0;
    std::vector<base::UniqueFd> folders{};  // the open folders, the outermost first
    std::map<uint32_t, std::string> links{};
    Extracted result{};

    base::UniqueFd open_folder(int parent, const char* name) const {
        base::UniqueFd fd(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!fd) base::throw_errno("cannot open it");
        return fd;
    }

    // `fd` is the file's; of what cannot be opened it is one of O_PATH, which is reached by its name in /proc.
    void describe(int fd, const File& file) {
        const std::string self = "/proc/self/fd/" + std::to_string(fd);
        if (root) check(::fchownat(fd, "", file.uid, file.gid, AT_EMPTY_PATH), "cannot set its owner");
        constexpr mode_t kSetIds = S_ISUID | S_ISGID;
        const mode_t mode = file.mode & (special ? 07777U : 07777U & ~kSetIds);
        const bool left_out = !special && (file.mode & kSetIds) != 0 && !S_ISLNK(file.mode);
        if (left_out) result.set_ids_left_out++;
        if (!S_ISLNK(file.mode)) check(::chmod(self.c_str(), mode), "cannot set its mode");
        for (const auto& [key, value] : reader.attributes(file)) {
            const int set = ::setxattr(self.c_str(), key.c_str(), value.data(), value.size(), 0);
            constexpr std::array kForbidden = {EPERM, EACCES, ENOTSUP, EINVAL, E2BIG, ERANGE};
            const int error = errno;
            const bool forbidden = std::find(kForbidden.begin(), kForbidden.end(), error) != kForbidden.end();
            if (set < 0 && !forbidden) throw base::SystemError(error, "cannot set " + base::quote(key));
            if (set < 0) result.attributes_left_out++;
        }
        const std::array<timespec, 2> times = {timespec{static_cast<time_t>(file.mtime), 0}, timespec{static_cast<time_t>(file.mtime), 0}};
        check(::utimensat(AT_FDCWD, self.c_str(), times.data(), 0), "cannot set its time");
    }

    void write_file(int folder, const std::string& name, const File& file) {
        const base::UniqueFd fd(::openat(folder, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!fd) base::throw_errno("cannot create it");
        FileData data(reader, file);
        uint64_t position = 0;
        for (auto block = data.next(); block.size > 0; block = data.next()) {
            budget.take(block);
            if (block.bytes.empty()) {
                position += block.size;
                check(::lseek(fd.get(), static_cast<off_t>(position), SEEK_SET) < 0 ? -1 : 0, "cannot write it");
            } else {
                base::write_all(fd.get(), block.bytes, "it");
                position += block.size;
            }
        }
        check(::ftruncate(fd.get(), static_cast<off_t>(file.size)), "cannot write it");
        describe(fd.get(), file);
    }

    // Another name of an existing file. Its folder is looked up again from the outermost, without following links.
    bool make_link(int folder, const std::string& name, const std::string& path, const File& file) {
        if (file.links < 2) return false;
        const auto [found, is_new] = links.emplace(file.number, path);
        if (is_new) return false;
        const std::string& old = found->second;
        base::UniqueFd parent = open_folder(folders.front().get(), ".");
        size_t start = top == "/" ? 1 : top.size() + 1;
        for (size_t end = old.find('/', start); end != std::string::npos; end = old.find('/', start)) {
            parent = open_folder(parent.get(), old.substr(start, end - start).c_str());
            start = end + 1;
        }
        check(::linkat(parent.get(), old.substr(start).c_str(), folder, name.c_str(), 0), "cannot link it");
        return true;
    }

    void make_special(int folder, const std::string& name, const File& file) {
        if (S_ISLNK(file.mode)) {
            check(::symlinkat(file.target.c_str(), folder, name.c_str()), "cannot create it");
        } else if ((S_ISBLK(file.mode) || S_ISCHR(file.mode)) && !(root && special)) {
            result.devices_left_out++;
            return;
        } else {
            check(::mknodat(folder, name.c_str(), (file.mode & S_IFMT) | 0600, makedev(file.major, file.minor)), "cannot create it");
        }
        const base::UniqueFd fd(::openat(folder, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        struct stat made {};
        if (!fd || ::fstat(fd.get(), &made) < 0) base::throw_errno("cannot open it");
        if ((made.st_mode & S_IFMT) != (file.mode & S_IFMT) || made.st_uid != ::geteuid()) throw base::Error("somebody else replaced it");
        describe(fd.get(), file);
    }

    void visit(const std::string& path, const File& file) {
        result.entries++;
        if (path == top && S_ISDIR(file.mode)) return;  // the folder itself
        const int folder = folders.back().get();
        const std::string name = last_name(path);
        if (S_ISDIR(file.mode)) {
            check(::mkdirat(folder, name.c_str(), 0700), "cannot create it");
            folders.push_back(open_folder(folder, name.c_str()));
        } else if (make_link(folder, name, path, file)) {
            return;
        } else if (S_ISREG(file.mode)) {
            write_file(folder, name, file);
        } else {
            make_special(folder, name, file);
        }
    }

    void leave(const File& file) {
        describe(folders.back().get(), file);
        if (folders.size() > 1) folders.pop_back();
    }
};

// Makes the folder, or takes an empty one of ours, and closes it for others; `mode` becomes its mode before that.
base::UniqueFd open_empty(const std::filesystem::path& folder, mode_t& mode) {
    std::error_code error;
    std::filesystem::create_directory(folder, error);
    base::UniqueFd fd = base::open_file(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    struct stat status {};
    if (::fstat(fd.get(), &status) < 0) base::throw_errno("cannot examine ", folder);
    if (status.st_uid != ::geteuid())
        throw base::Error(folder.string() + " belongs to another user, who could interfere: name a new folder");
    mode = status.st_mode & 07777;
    if (::fchmod(fd.get(), S_IRWXU) < 0) base::throw_errno("cannot set the mode of ", folder);
    if (!std::filesystem::is_empty("/proc/self/fd/" + std::to_string(fd.get()))) {
        (void)::fchmod(fd.get(), mode);
        throw base::Error(folder.string() + " is not empty");
    }
    return fd;
}

}  // namespace

Extracted extract(SquashfsReader& reader, const std::string& path, const File& start, const std::filesystem::path& folder,
                  const Limits& limits, bool special) {
    base::raise_soft_limit(RLIMIT_NOFILE);  // each folder on the way down is held open, and a path may have 2,048
    Extraction extraction{reader, Budget(limits.bytes), path, special};
    mode_t mode = 0;
    extraction.folders.push_back(open_empty(folder, mode));
    Visitor visitor;
    visitor.visit = [&](const std::string& at, const File& file) {
        base::with_context(base::quote(at), [&] { extraction.visit(at, file); });
    };
    visitor.leave = [&](const std::string& at, const File& file) { base::with_context(base::quote(at), [&] { extraction.leave(file); }); };
    walk(reader, path, start, limits, visitor);
    // A directory has given its own mode to the folder.
    if (!S_ISDIR(start.mode)) check(::fchmod(extraction.folders.front().get(), mode), "cannot set the folder's mode");
    return extraction.result;
}

}  // namespace gvmi
