#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "convert/budget.h"
#include "gvmi/squashfs_writer.h"
#include "oci/entries.h"

namespace convert {

struct Node;

// A name in a directory. Hard links are several names of one node.
struct Link {
    std::shared_ptr<Node> node;
    size_t layer = 0;  // that put it there
};

// A file, directory or anything else that has an inode.
struct Node {
    bool is_directory() const { return (inode.mode & S_IFMT) == S_IFDIR; }
    bool is_symlink() const { return (inode.mode & S_IFMT) == S_IFLNK; }
    bool is_file() const { return (inode.mode & S_IFMT) == S_IFREG; }

    gvmi::Inode inode;  // its links, number and attributes' address are set when it is written
    gvmi::Attributes attributes;
    std::string target;  // of a symbolic link
    unsigned major = 0;  // of a device
    unsigned minor = 0;
    uint64_t size = 0;                     // of a file
    size_t layer = 0;                      // where a file's data is: the layer,
    uint64_t ordinal = 0;                  // and which of its tar's entries
    size_t handle = 0;                     // its data in the squashfs writer
    gvmi::InodeRef ref;                    // where it was written
    std::map<std::string, Link> children;  // of a directory; sorted by bytes, as squashfs has it
    size_t newest = 0;                     // of a directory: nothing below it is from a layer before this one
};

// The tree of an image, built by applying its layers' entries, the base first. No layer can lead out of the root: a ".." that would is an
// error, and symbolic links are followed inside the root.
class Tree {
public:
    // What the layers may cost.
    explicit Tree(const Limits& limits = {});

    const Node& root() const { return *root_; }
    Node& root() { return *root_; }

    // Applies entry number `ordinal` of the tar of layer `layer` (both count from 0). Whiteouts (".wh.NAME", ".wh..wh..opq") remove what
    // lower layers have. Throws base::Error that names the entry, also beyond the limits.
    void apply(size_t layer, uint64_t ordinal, oci::TarEntry&& entry);

    uint64_t dropped_attributes() const { return dropped_attributes_; }

private:
    struct Place {
        std::shared_ptr<Node> directory;
        std::string name;  // empty: the directory itself
    };

    Place resolve(const std::string& path, bool create);
    void whiteout(const std::string& path, const std::string& folder, const std::string& name);
    void put(const Place& place, std::shared_ptr<Node> node);
    void link(const Place& place, const oci::TarEntry& entry);
    std::shared_ptr<Node> make_node(uint64_t ordinal, oci::TarEntry&& entry);
    void keep_attributes(Node& node, oci::TarEntry& entry);

    Budget budget_;
    std::shared_ptr<Node> root_;
    size_t layer_ = 0;
    uint64_t dropped_attributes_ = 0;
};

}  // namespace convert
