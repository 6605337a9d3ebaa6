#include "init/difference.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "init/compare.h"
#include "init/mounts.h"
#include "init/path.h"

namespace init {
namespace {

constexpr int kOpenPlace = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr const char* kGoneMark = ".wh..wh..opq";

std::string path_below(const std::string& folder, std::string_view name) {
    return folder.empty() ? std::string(name) : cat({folder, "/", name});
}

bool is_folder(const std::optional<struct stat>& st) {
    return st && S_ISDIR(st->st_mode);
}

std::string content_of(int folder, const char* name, const struct stat& st) {
    return S_ISLNK(st.st_mode) ? target_of(folder, name) : read_inside(folder, name, static_cast<size_t>(st.st_size));
}

}  // namespace

Result<MadePaths> MadePaths::of(const Made& made, int image) {
    MadePaths paths;
    std::vector<std::string> folders = made.volumes;
    folders.insert(folders.end(), {"/tmp", "/etc"});
    for (const char* path : system_mount_points())
        folders.emplace_back(path);
    for (const std::string& path : folders) {
        const Result<std::string> resolved = resolve(image, path);
        if (!resolved.ok()) return resolved.status;
        for (size_t end = resolved.value.find('/');; end = resolved.value.find('/', end + 1)) {
            paths.folders.insert(resolved.value.substr(0, end));
            if (end == std::string::npos) break;
        }
        if (path == "/tmp") paths.tmp = resolved.value;
        if (path != "/etc") continue;
        for (const auto& [name, content] : made.files)
            paths.files[path_below(resolved.value, name)] = content;
    }
    return paths;
}

std::optional<struct stat> look(int folder, const char* name) {
    struct stat st {};
    if (folder < 0 || ::fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return {};
    if (S_ISCHR(st.st_mode) && st.st_rdev == 0) return {};
    return st;
}

Status Difference::list(const Place& place, bool gone, Lists& lists) const {
    const bool with_image = place.whole || links_;
    Names image;
    if (with_image || gone) {
        if (Status status = image.add(place.image.get()); !status.ok()) return status;
    }
    lists.gone = gone && image.size() > 0;
    for (size_t i = 0; i < image.size() && lists.gone; i++)
        lists.gone = !look(place.root.get(), image[i]);
    const int changed = place.whole ? place.root.get() : place.upper.get();
    for (Names* names : {&lists.upper, &lists.all}) {
        if (Status status = names->add(changed); !status.ok()) return status;
    }
    if (with_image) {
        if (Status status = lists.all.add(place.image.get()); !status.ok()) return status;
    }
    lists.upper.sort();
    lists.all.sort();
    return {};
}

// What init has made is unchanged while it is as init made it. Of its folders the time does not count.
std::optional<char> Difference::made_kind(const Place& place, const char* name, const Seen& seen, Status& status) const {
    const std::string path = path_below(place.path, name);
    if (const auto file = made_.files.find(path); file != made_.files.end()) {
        const struct stat& st = *seen.root;
        const mode_t mode = S_ISLNK(st.st_mode) ? S_IFLNK | 0777 : S_IFREG | 0644;
        const bool as_made =
            st.st_mode == mode && st.st_uid == 0 && st.st_gid == 0 && content_of(place.root.get(), name, st) == file->second;
        return as_made ? std::optional<char>('\0') : std::nullopt;
    }
    if (!is_folder(seen.root) || !made_.folders.contains(path)) return {};
    const mode_t mode = path == made_.tmp ? 01777 : 0755;
    if (!is_folder(seen.image)) {
        const bool as_made = (seen.root->st_mode & 01777) == mode && seen.root->st_uid == 0;
        return as_made ? std::optional<char>('\0') : std::nullopt;
    }
    struct stat expected = *seen.image;
    if (path == made_.tmp) expected.st_mode = S_IFDIR | mode;
    const Result<bool> differs = differ({place.root.get(), name, *seen.root}, {place.image.get(), name, expected}, false);
    status = differs.status;
    return differs.value ? 'C' : '\0';
}

Result<char> Difference::own_kind(const Place& place, const char* name, const Seen& seen) const {
    if (!seen.root) return seen.image ? 'D' : '\0';
    Status status;
    const std::optional<char> made = made_kind(place, name, seen, status);
    if (!status.ok()) return status;
    if (made) return *made;
    if (!seen.image) return 'A';
    const FileAt root{place.root.get(), name, *seen.root};
    const FileAt image{place.image.get(), name, *seen.image};
    Result<bool> differs = differ(root, image, true);
    if (differs.ok() && !differs.value && S_ISREG(seen.root->st_mode)) differs = differ_in_content(root, image);
    if (!differs.ok()) return differs.status;
    return differs.value ? 'C' : '\0';
}

// 0: there is no change, not below it either.
Result<char> Difference::kind_of(const Place& place, const Lists& lists, const char* name, Seen& seen, unsigned depth) {
    seen = {look(place.root.get(), name), look(place.image.get(), name)};
    bool unchanged = false;
    if (!place.whole && !lists.upper.contains(name)) {
        // From the image as it is, but for a file of which another name was written to.
        if (!seen.root || !seen.image) return '\0';
        const bool written =
            seen.root->st_ctim.tv_sec != seen.image->st_ctim.tv_sec || seen.root->st_ctim.tv_nsec != seen.image->st_ctim.tv_nsec;
        unchanged = S_ISDIR(seen.root->st_mode) || seen.image->st_nlink < 2 || !written;
    }
    Result<char> kind = unchanged ? Result<char>('\0') : own_kind(place, name, seen);
    if (!kind.ok() || kind.value != '\0' || !is_folder(seen.root)) return kind;
    const Result<Place> folder = below(place, name);
    if (!folder.ok()) return folder.status;
    const Result<bool> any = any_below(folder.value, depth + 1);
    if (!any.ok()) return any.status;
    if (!any.value) return '\0';
    return seen.image ? 'C' : 'A';
}

Result<bool> Difference::any_below(const Place& place, unsigned depth) {
    if (depth > kMostNested) return failure({"more than 2048 folders are in one another"});
    Lists lists;
    if (Status status = list(place, false, lists); !status.ok()) return status;
    for (size_t i = 0; i < lists.all.size(); i++) {
        Seen seen;
        const Result<char> kind = kind_of(place, lists, lists.all[i], seen, depth);
        if (!kind.ok()) return kind.status;
        if (kind.value != '\0') return true;
    }
    return false;
}

Result<Place> Difference::below(const Place& place, const char* name) {
    const auto open = [&](const base::UniqueFd& folder) { return base::UniqueFd(folder ? ::openat(folder.get(), name, kOpenPlace) : -1); };
    Place result{path_below(place.path, name), {}, open(place.root), {}, place.whole};
    if (!result.root && errno != ENOENT && errno != ENOTDIR && errno != ELOOP) return failure(errno, {"/", result.path});
    result.image = open(place.image);
    if (result.whole) return result;
    result.upper = open(place.upper);
    char value[2];
    const auto is_set = [&](const char* attribute) {
        return result.upper && (::fgetxattr(result.upper.get(), attribute, value, sizeof value) > 0 || errno == ERANGE);
    };
    result.whole = is_set("trusted.overlay.opaque") || is_set("trusted.overlay.redirect");
    return result;
}

Status Difference::tell_below(const Place& place, unsigned depth) {
    if (depth > kMostNested) return failure({"more than 2048 folders are in one another"});
    Lists lists;
    if (Status status = list(place, gone_, lists); !status.ok()) return status;
    if (lists.gone) {
        if (Status status = tell_('O', place.root.get(), kGoneMark, path_below(place.path, kGoneMark)); !status.ok()) return status;
    }
    // Folders of which others have to be told before what they hold: "a-b" is between "a" and "a/b".
    std::vector<std::string> waiting;
    const auto tell_waiting = [&](const char* before) -> Status {
        while (!waiting.empty() && (before == nullptr || cat({waiting.back(), "/"}) < before)) {
            const Result<Place> folder = below(place, waiting.back().c_str());
            if (!folder.ok()) return folder.status;
            waiting.pop_back();
            if (Status status = tell_below(folder.value, depth + 1); !status.ok()) return status;
        }
        return {};
    };
    for (size_t i = 0; i < lists.all.size(); i++) {
        const char* const name = lists.all[i];
        if (Status status = tell_waiting(name); !status.ok()) return status;
        Seen seen;
        const Result<char> kind = kind_of(place, lists, name, seen, depth);
        if (!kind.ok()) return kind.status;
        if (kind.value == '\0' || (kind.value == 'D' && lists.gone)) continue;
        if (Status status = tell_(kind.value, place.root.get(), name, path_below(place.path, name)); !status.ok()) return status;
        if (is_folder(seen.root)) waiting.emplace_back(name);
    }
    return tell_waiting(nullptr);
}

}  // namespace init
