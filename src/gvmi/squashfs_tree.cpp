#include "gvmi/squashfs_tree.h"

#include <linux/limits.h>
#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <set>

#include "base/error.h"
#include "base/path_names.h"
#include "base/untrusted_text.h"

namespace gvmi {
namespace {

struct Walk {
    SquashfsReader& reader;
    const Limits& limits;
    const Visitor& visitor;
    std::set<uint32_t> directories;
    uint64_t entries = 0;

    // Recursive: PATH_MAX bounds the depth.
    void descend(const std::string& path, const File& file) {
        if (++entries > limits.entries) throw base::Error("more than " + std::to_string(limits.entries) + " files");
        if (path.size() >= PATH_MAX) throw base::Error("damaged squashfs: a path of " + std::to_string(path.size()) + " bytes");
        visitor.visit(path, file);
        if (!S_ISDIR(file.mode)) return;
        if (!directories.insert(file.number).second) {
            throw base::Error("damaged squashfs: the directory " + base::quote(path) + " has the inode number of another");
        }
        for (const Name& name : reader.list(file))
            descend((path == "/" ? "" : path) + "/" + name.name, reader.file(name.position));
        if (visitor.leave) visitor.leave(path, file);
    }
};

}  // namespace

void walk(SquashfsReader& reader, const std::string& path, const File& file, const Limits& limits, const Visitor& visitor) {
    Walk{reader, limits, visitor, {}, 0}.descend(path, file);
}

void walk(SquashfsReader& reader, const Limits& limits, const Visitor& visitor) {
    walk(reader, "/", reader.root(), limits, visitor);
}

std::string absolute_path(const std::string& path) {
    std::vector<std::string> names;
    for (std::string& name : base::path_names(path)) {
        if (name != "..") {
            names.push_back(std::move(name));
        } else if (!names.empty()) {
            names.pop_back();
        }
    }
    std::string result;
    for (const std::string& name : names)
        result += "/" + name;
    return result.empty() ? "/" : result;
}

std::optional<File> find(SquashfsReader& reader, const std::string& path, bool follow_last) {
    constexpr int kMaxSymlinks = 40;  // as Linux
    constexpr size_t kMaxDepth = PATH_MAX;
    std::deque<std::string> names = base::path_names(path);
    std::vector<File> way = {reader.root()};
    for (int symlinks = 0; !names.empty();) {
        const std::string name = std::move(names.front());
        names.pop_front();
        if (name == "..") {
            if (way.size() > 1) way.pop_back();
            continue;
        }
        if (!S_ISDIR(way.back().mode) || way.size() > kMaxDepth) return std::nullopt;
        const std::vector<Name> list = reader.list(way.back());
        const auto found = std::lower_bound(list.begin(), list.end(), name, [](const Name& a, const std::string& b) { return a.name < b; });
        if (found == list.end() || found->name != name) return std::nullopt;
        File file = reader.file(found->position);
        if (S_ISLNK(file.mode) && (!names.empty() || follow_last)) {
            if (++symlinks > kMaxSymlinks) return std::nullopt;
            const std::deque<std::string> target = base::path_names(file.target);
            names.insert(names.begin(), target.begin(), target.end());
            if (names.size() > kMaxDepth) return std::nullopt;
            if (file.target.starts_with('/')) way.resize(1);
            continue;
        }
        way.push_back(std::move(file));
    }
    return way.back();
}

std::string read_start(SquashfsReader& reader, const File& file, size_t limit) {
    std::string text;
    FileData data(reader, file);
    for (auto block = data.next(); block.size > 0 && text.size() < limit; block = data.next()) {
        const size_t n = std::min(block.size, limit - text.size());
        if (block.bytes.empty()) {
            text.append(n, '\0');
        } else {
            text.append(reinterpret_cast<const char*>(block.bytes.data()), n);
        }
    }
    return text;
}

}  // namespace gvmi
