#include "gvmi/squashfs_tree.h"

#include <linux/limits.h>
#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <iterator>

#include "base/error.h"
#include "base/path_names.h"
#include "base/size.h"
#include "base/untrusted_text.h"

namespace gvmi {
namespace {

// Recursive: PATH_MAX bounds the depth.
void descend(SquashfsReader& reader, const std::string& path, const File& file, Account& account, const Visitor& visitor) {
    account.visit(path, file);
    visitor.visit(path, file);
    if (!S_ISDIR(file.mode)) return;
    for (const Name& name : account.list(path, file))
        descend(reader, (path == "/" ? "" : path) + "/" + name.name, reader.file(name.position), account, visitor);
    if (visitor.leave) visitor.leave(path, file);
}

}  // namespace

void Account::count(uint64_t entries) {
    entries_ += entries;
    if (entries_ > limits_.entries) throw base::Error("more than " + std::to_string(limits_.entries) + " files");
}

void Account::visit(const std::string& path, const File& file) {
    if (entries_ == 0) count(1);  // what the walk begins with is in no listing
    if (path.size() >= PATH_MAX) throw base::Error("damaged squashfs: a path of " + std::to_string(path.size()) + " bytes");
    path_bytes_ += path.size() + file.target.size();
    if (path_bytes_ > limits_.path_bytes)
        throw base::Error("more than " + base::format_size(limits_.path_bytes) + " of paths and targets of links");
    if (S_ISDIR(file.mode) && !directories_.insert(file.number).second)
        throw base::Error("damaged squashfs: the directory " + base::quote(path) + " has the inode number of another");
}

void Account::claim(const SquashfsReader::Piece& piece) {
    const auto [place, is_new] = blocks_.try_emplace(piece.block, Block{piece.next, 0});
    const bool reaches_next = std::next(place) != blocks_.end() && std::next(place)->first < piece.next;
    const bool in_previous = place != blocks_.begin() && std::prev(place)->second.next > piece.block;
    place->second.used += piece.bytes;
    if ((is_new && (reaches_next || in_previous)) || place->second.used > piece.size) damaged("directories that share bytes");
}

std::vector<Name> Account::list(const std::string& path, const File& directory) {
    return base::with_context(base::quote(path), [&] {
        for (const SquashfsReader::Piece& piece : reader_.pieces(directory))
            claim(piece);
        std::vector<Name> names = reader_.list(directory);
        count(names.size());
        return names;
    });
}

void walk(SquashfsReader& reader, const std::string& path, const File& file, Account& account, const Visitor& visitor) {
    descend(reader, path, file, account, visitor);
}

void walk(SquashfsReader& reader, const std::string& path, const File& file, const Limits& limits, const Visitor& visitor) {
    Account account(reader, limits);
    walk(reader, path, file, account, visitor);
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
        const std::optional<uint64_t> position = reader.position_of(way.back(), name);
        if (!position) return std::nullopt;
        File file = reader.file(*position);
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
