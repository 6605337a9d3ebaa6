#include "convert/tree.h"

#include <linux/limits.h>
#include <sys/stat.h>

#include <climits>
#include <deque>

#include "base/error.h"
#include "base/path_names.h"
#include "base/untrusted_text.h"
#include "convert/path.h"

namespace convert {
namespace {

using Type = oci::TarEntry::Type;

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";
constexpr std::string_view kMeta = ".wh..wh.";  // aufs's own files

constexpr size_t kMaxDepth = PATH_MAX / 2;  // of directories: what one path can name
constexpr int kMaxSymlinks = 40;            // followed in one path, as Linux does

// Larger than any disk of a VM. A hostile archive of a few hundred bytes can claim exabytes of holes.
constexpr uint64_t kMaxFile = uint64_t{4} << 40;

mode_t mode_of(const oci::TarEntry& entry) {
    switch (entry.type) {
        case Type::directory:
            return S_IFDIR | entry.permissions;
        case Type::symlink:
            return S_IFLNK | 0777;
        case Type::character_device:
            return S_IFCHR | entry.permissions;
        case Type::block_device:
            return S_IFBLK | entry.permissions;
        case Type::fifo:
            return S_IFIFO | entry.permissions;
        case Type::socket:
            return S_IFSOCK | entry.permissions;
        default:
            return S_IFREG | entry.permissions;
    }
}

// A directory that no layer describes but that has contents. No time of day: equal images give equal bytes.
std::shared_ptr<Node> implied_directory(size_t layer) {
    auto node = std::make_shared<Node>();
    node->inode.mode = S_IFDIR | 0755;
    node->newest = layer;
    return node;
}

// Removes what is below `directory` and not from `layer`. Looks at each directory once for a layer, however many markers it has. Recursive:
// the depth of the tree is bounded.
void remove_lower(Node& directory, size_t layer) {
    if (directory.newest == layer) return;
    directory.newest = layer;
    for (auto it = directory.children.begin(); it != directory.children.end();) {
        Link& link = it->second;
        if (link.node->is_directory()) remove_lower(*link.node, layer);
        const bool stays = link.layer == layer || !link.node->children.empty();
        it = stays ? std::next(it) : directory.children.erase(it);
    }
}

std::shared_ptr<Node> child(const Node& directory, const std::string& name) {
    const auto found = directory.children.find(name);
    return found == directory.children.end() ? nullptr : found->second.node;
}

}  // namespace

Tree::Tree(const Limits& limits) : budget_(limits), root_(implied_directory(0)) {}

// Walks to the directory of `path`'s last name, which is not followed itself. Symbolic links on the way are followed inside the image, as
// in an engine that unpacks in a chroot. A missing directory is made, or ends the walk with nothing.
Tree::Place Tree::resolve(const std::string& path, bool create) {
    std::deque<std::string> names = split_path(path);
    if (names.empty()) return {root_, ""};
    const std::string last = std::move(names.back());
    names.pop_back();

    std::vector<std::shared_ptr<Node>> way = {root_};
    for (int symlinks = 0; !names.empty();) {
        const std::string name = std::move(names.front());
        names.pop_front();
        if (name == "..") {
            if (way.size() > 1) way.pop_back();
            continue;
        }
        std::shared_ptr<Node> next = child(*way.back(), name);
        if (next == nullptr) {
            if (!create) return {};
            budget_.take_folder();
            next = implied_directory(layer_);
            way.back()->children[name] = {next, layer_};
        }
        if (next->is_symlink()) {
            if (++symlinks > kMaxSymlinks) throw base::Error("too many symbolic links on its way");
            budget_.follow(next->target);
            std::deque<std::string> target = base::path_names(next->target);
            names.insert(names.begin(), target.begin(), target.end());
            if (next->target.starts_with('/')) way.resize(1);
            if (names.size() > kMaxDepth) throw base::Error("nested too deep");
            continue;
        }
        if (!next->is_directory()) {
            if (!create) return {};
            throw base::Error(base::quote(name) + " on its way is not a directory");
        }
        way.push_back(std::move(next));
        if (way.size() > kMaxDepth) throw base::Error("nested too deep");
    }
    return {way.back(), last};
}

void Tree::whiteout(const std::string& path, const std::string& folder, const std::string& name) {
    // Resolves to the directory of "x", so that the folder itself is followed.
    const Place place = resolve(folder + "/x", false);
    if (name == kOpaque) {
        if (place.directory) remove_lower(*place.directory, layer_);
        return;
    }
    if (name.starts_with(kMeta)) return;
    const std::string victim = name.substr(kWhiteout.size());
    if (victim.empty() || victim == "." || victim == "..") throw base::Error(base::quote(path) + " is a whiteout of nothing");
    if (!place.directory) return;
    const auto found = place.directory->children.find(victim);
    if (found == place.directory->children.end()) return;
    Link& link = found->second;
    if (link.node->is_directory()) remove_lower(*link.node, layer_);
    if (link.layer != layer_ && link.node->children.empty()) place.directory->children.erase(found);
}

void Tree::keep_attributes(Node& node, oci::TarEntry& entry) {
    if (entry.has_acl) dropped_attributes_++;
    std::map<std::string, std::string> kept;
    for (auto& [key, value] : entry.attributes) {
        // An overlay's own attributes belong to the machine that made the layer.
        const bool keep = gvmi::holds_attribute(key) && value.size() <= XATTR_SIZE_MAX && !key.starts_with("trusted.overlay.");
        if (keep) {
            kept[std::move(key)] = std::move(value);
        } else {
            dropped_attributes_++;
        }
    }
    node.attributes.assign(std::make_move_iterator(kept.begin()), std::make_move_iterator(kept.end()));
}

std::shared_ptr<Node> Tree::make_node(uint64_t ordinal, oci::TarEntry&& entry) {
    auto node = std::make_shared<Node>();
    node->inode.mode = mode_of(entry);
    node->inode.uid = entry.uid;
    node->inode.gid = entry.gid;
    node->inode.mtime = entry.mtime;
    node->size = entry.size;
    node->major = entry.major;
    node->minor = entry.minor;
    node->layer = layer_;
    node->newest = layer_;
    node->ordinal = ordinal;
    if (entry.size > kMaxFile) throw base::Error("a file of " + std::to_string(entry.size) + " bytes");
    if (entry.type == Type::symlink && (entry.target.empty() || entry.target.size() >= PATH_MAX)) {
        throw base::Error("a symbolic link to a path of " + std::to_string(entry.target.size()) + " bytes");
    }
    keep_attributes(*node, entry);
    if (entry.type == Type::symlink) node->target = std::move(entry.target);
    return node;
}

void Tree::put(const Place& place, std::shared_ptr<Node> node) {
    if (place.name.empty()) {
        if (!node->is_directory()) throw base::Error("the root is not a directory");
        node->children = std::move(root_->children);
        node->newest = root_->newest;
        root_ = std::move(node);
        return;
    }
    Link& link = place.directory->children[place.name];
    // A directory over a directory replaces its description and keeps its contents.
    if (link.node && link.node->is_directory() && node->is_directory()) {
        node->children = std::move(link.node->children);
        node->newest = link.node->newest;
    }
    link = {std::move(node), layer_};
}

void Tree::link(const Place& place, const oci::TarEntry& entry) {
    base::with_context("hard link to " + base::quote(entry.target), [&] {
        const Place target = resolve(entry.target, false);
        if (place.name.empty()) throw base::Error("the root is not a link");
        std::shared_ptr<Node> node = target.directory && !target.name.empty() ? child(*target.directory, target.name) : nullptr;
        if (node == nullptr) throw base::Error("there is no such file");
        if (node->is_directory()) throw base::Error("it is a directory");
        place.directory->children[place.name] = {std::move(node), layer_};
    });
}

void Tree::apply(size_t layer, uint64_t ordinal, oci::TarEntry&& entry) {
    layer_ = layer;
    const std::string path = entry.path;
    base::with_context(base::quote(path), [&] {
        budget_.take(entry);
        const std::deque<std::string> names = split_path(path);
        if (!names.empty() && names.back().starts_with(kWhiteout)) {
            std::string folder;
            for (size_t i = 0; i + 1 < names.size(); i++)
                folder += "/" + names[i];
            whiteout(path, folder, names.back());
            return;
        }
        const Place place = resolve(path, true);
        if (entry.type == Type::hard_link) {
            link(place, entry);
        } else {
            put(place, make_node(ordinal, std::move(entry)));
        }
    });
}

}  // namespace convert
