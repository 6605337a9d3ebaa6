#include "convert/convert.h"

#include <limits>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/size.h"
#include "base/times.h"
#include "base/untrusted_text.h"
#include "convert/path.h"
#include "convert/tree.h"
#include "gvmi/image.h"
#include "gvmi/squashfs_writer.h"
#include "oci/entries.h"

namespace convert {
namespace {

class Counted : public oci::Stream {
public:
    Counted(oci::StreamPtr inner, std::function<void(uint64_t)> count) : inner_(std::move(inner)), count_(std::move(count)) {}

    std::span<const std::byte> next() override {
        const auto bytes = inner_->next();
        count_(bytes.size());
        return bytes;
    }

    uint64_t skip(uint64_t bytes) override {
        const uint64_t n = inner_->skip(bytes);
        count_(n);
        return n;
    }

private:
    oci::StreamPtr inner_;
    std::function<void(uint64_t)> count_;
};

// The layers, reporting to `progress` what has been read of them; together they give no more than `left`.
std::vector<oci::Layer> counted(const oci::Image& image, const Options& options, const std::shared_ptr<uint64_t>& left) {
    uint64_t total = 0;
    for (const oci::Layer& layer : image.layers) {
        // Many layers may be one blob, so that they are larger than all files of the image.
        if (layer.size > options.limits.data_bytes - total / 2)
            throw base::Error("the layers have more than " + base::format_size(options.limits.data_bytes) + " (--limit-gib)");
        total += 2 * layer.size;
    }
    const auto done = std::make_shared<uint64_t>(0);
    const std::function<void(uint64_t)> count = [done, total, &options](uint64_t bytes) { options.progress(*done += bytes, total); };
    std::vector<oci::Layer> layers = image.layers;
    for (oci::Layer& layer : layers) {
        layer.left = left;
        if (layer.open_blob) layer.open_blob = [open = layer.open_blob, count] { return std::make_unique<Counted>(open(), count); };
    }
    return layers;
}

Tree read_tree(const std::vector<oci::Layer>& layers, const Limits& limits) {
    Tree tree(limits);
    for (size_t i = 0; i < layers.size(); i++) {
        base::with_context(layers[i].name, [&] {
            const std::unique_ptr<oci::Entries> entries = oci::read_unchecked_layer(layers[i]);
            oci::TarEntry entry;
            for (uint64_t ordinal = 0; entries->next(entry); ordinal++) {
                const base::Timed timed(base::Work::merge);
                tree.apply(i, ordinal, std::move(entry));
            }
        });
    }
    return tree;
}

struct Plan {
    std::vector<std::map<uint64_t, Node*>> files;  // by layer, then by the entry's number
    uint32_t inodes = 0;
    uint64_t clamped_times = 0;
    uint64_t data_bytes = 0;
};

// Numbers the inodes, a directory's contents before itself, and counts links. Recursive: the tree's depth is bounded.
void plan_directory(Node& directory, Plan& plan) {
    directory.inode.links = 2;
    for (auto& [name, link] : directory.children) {
        Node& node = *link.node;
        if (node.is_directory()) {
            directory.inode.links++;
            plan_directory(node, plan);
            continue;
        }
        const bool seen = node.inode.number != 0;
        node.inode.links = seen ? node.inode.links + 1 : 1;
        if (seen) continue;
        node.inode.number = ++plan.inodes;
        if (node.inode.mtime < 0 || node.inode.mtime > std::numeric_limits<uint32_t>::max()) plan.clamped_times++;
        if (!node.is_file()) continue;
        plan.files[node.layer][node.ordinal] = &node;
        plan.data_bytes += node.size;
    }
    directory.inode.number = ++plan.inodes;
    if (directory.inode.mtime < 0 || directory.inode.mtime > std::numeric_limits<uint32_t>::max()) plan.clamped_times++;
}

void copy_data(oci::Entries& reader, const Node& node, gvmi::SquashfsWriter& writer) {
    oci::copy_data(
        reader, node.size, [&](uint64_t count) { writer.append_zeros(count); },
        [&](std::span<const std::byte> bytes) { writer.append(bytes); });
}

void write_layer(oci::Entries& reader, const std::map<uint64_t, Node*>& files, gvmi::SquashfsWriter& writer) {
    oci::TarEntry entry;
    uint64_t ordinal = 0;
    for (const auto& [wanted, node] : files) {
        for (bool found = false; !found; ordinal++) {
            found = ordinal == wanted;
            const bool there = reader.next(entry);
            if (!there || (found && (entry.type != oci::TarEntry::Type::file || entry.size != node->size))) {
                throw base::Error("it changed while it was read");
            }
        }
        node->handle = writer.begin_file();
        base::with_context(base::quote(entry.path), [&, node = node] { copy_data(reader, *node, writer); });
        writer.end_file();
    }
    // The digests are compared at the layer's end.
    while (reader.next(entry)) {
    }
    reader.drain();
}

gvmi::InodeRef write_inode(Node& node, uint32_t parent, gvmi::SquashfsWriter& writer);

gvmi::InodeRef write_directory(Node& node, uint32_t parent, gvmi::SquashfsWriter& writer) {
    std::vector<std::pair<std::string_view, gvmi::InodeRef>> entries;
    entries.reserve(node.children.size());
    for (auto& [name, link] : node.children)
        entries.emplace_back(name, write_inode(*link.node, node.inode.number, writer));
    return writer.write_directory(node.inode, parent, entries);
}

gvmi::InodeRef write_inode(Node& node, uint32_t parent, gvmi::SquashfsWriter& writer) {
    if (node.ref.number != 0) return node.ref;  // a further hard link
    node.inode.attributes = &node.attributes;
    switch (node.inode.mode & S_IFMT) {
        case S_IFDIR:
            node.ref = write_directory(node, parent, writer);
            break;
        case S_IFREG:
            node.ref = writer.write_file(node.inode, node.handle);
            break;
        case S_IFLNK:
            node.ref = writer.write_symlink(node.inode, node.target);
            break;
        case S_IFIFO:
        case S_IFSOCK:
            node.ref = writer.write_ipc(node.inode);
            break;
        default:
            node.ref = writer.write_device(node.inode, node.major, node.minor);
    }
    return node.ref;
}

}  // namespace

Summary convert(const oci::Image& image, const nlohmann::json& config, int fd, const std::string& name, const Options& options) {
    Digests digests(image.layers);
    const Summary summary = convert(image, config, fd, name, options, digests);
    uint64_t total = 0;
    for (const oci::Layer& layer : image.layers)
        total += 2 * layer.size;
    digests.finish([&] { options.progress(total, total); });
    return summary;
}

Summary convert(const oci::Image& image, const nlohmann::json& config, int fd, const std::string& name, const Options& options,
                Digests& digests) {
    const std::string trailer = gvmi::make_trailer(config);
    const auto left = std::make_shared<uint64_t>(options.limits.data_bytes);
    const std::vector<oci::Layer> layers = counted(image, options, left);
    Tree tree = read_tree(layers, options.limits);
    *left = options.limits.data_bytes;  // the layers are read a second time
    Plan plan;
    plan.files.resize(layers.size());
    plan_directory(tree.root(), plan);

    gvmi::SquashfsWriter::Options squashfs;
    squashfs.compression = options.compression;
    squashfs.workers = options.workers;
    gvmi::SquashfsWriter writer(fd, name, squashfs);
    for (size_t i = 0; i < layers.size(); i++) {
        base::with_context(layers[i].name, [&] {
            const auto reader = digests.covers(i) ? oci::read_unchecked_layer(layers[i]) : oci::read_layer(layers[i]);
            write_layer(*reader, plan.files[i], writer);
        });
    }
    writer.finish(write_inode(tree.root(), tree.root().inode.number + 1, writer));

    const off_t end = ::lseek(fd, 0, SEEK_END);
    if (end < 0) base::throw_errno("cannot write ", name);
    base::write_all(fd, trailer, name);

    Summary summary;
    summary.inodes = plan.inodes;
    summary.data_bytes = plan.data_bytes;
    summary.file_bytes = static_cast<uint64_t>(end) + trailer.size();
    summary.clamped_times = plan.clamped_times;
    summary.dropped_attributes = tree.dropped_attributes();
    return summary;
}

}  // namespace convert
