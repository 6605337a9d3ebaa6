#include "init/changes.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "init/compare.h"
#include "init/difference.h"
#include "init/root.h"
#include "init/tar_writer.h"
#include "init/write_all.h"

namespace init {
namespace {

constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
constexpr const char* kWhiteout = ".wh.";
constexpr size_t kListPiece = 64 << 10;

// A path of root.h below init's first root.
base::UniqueFd open_below(int initramfs, const char* path) {
    return base::UniqueFd(::openat(initramfs, path + 1, kFolder));
}

Result<Place> open_trees(int initramfs) {
    Place root;
    // Without what is mounted on it.
    const base::UniqueFd mount(::open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    if (mount) root.root.reset(::openat(mount.get(), ".", kFolder));
    if (!root.root) return failure(errno, {"cannot look at the root alone"});
    root.upper = open_below(initramfs, kUpper);
    root.image = open_below(initramfs, kImages);
    if (!root.image && errno == ENOENT) root.image = open_below(initramfs, kFirstImage);
    if (!root.upper || !root.image) return failure(errno, {"cannot look at what the root is made of"});
    return root;
}

// Hard links of the image that were written to have entries there.
Result<bool> any_linked(int initramfs) {
    Names names;
    const base::UniqueFd index = open_below(initramfs, kIndex);
    if (Status status = names.add(index.get()); !status.ok()) return status;
    return names.size() > 0;
}

Result<bool> root_itself_changed(const Place& place, int initramfs) {
    const base::UniqueFd image = open_below(initramfs, kFirstImage);
    const auto now = look(place.root.get(), ".");
    const auto before = look(image.get(), ".");
    if (!now || !before) return failure(errno, {"cannot look at the root"});
    return differ({place.root.get(), ".", *now}, {image.get(), ".", *before}, false);
}

class ListWriter {
public:
    explicit ListWriter(int out) : out_(out) {}

    Status tell(char kind, const std::string& path) {
        text_ += cat({{&kind, 1}, " /", path});
        text_ += '\0';
        return text_.size() < kListPiece ? Status{} : flush();
    }
    Status flush() {
        if (!write_all(out_, text_)) return failure(errno, {"cannot write the list"});
        text_.clear();
        return {};
    }

private:
    int out_;
    std::string text_;
};

Status tell_layer(TarWriter& writer, int messages, char kind, int folder, const char* name, const std::string& path) {
    if (kind == 'O') return writer.add_mark(path);
    if (kind == 'D') return writer.add_mark(cat({path.substr(0, path.rfind('/') + 1), kWhiteout, name}));
    if (std::string_view(name).starts_with(kWhiteout))
        return failure({"/", path, ": no layer can have this name, which marks what is deleted"});
    const auto st = look(folder, name);
    if (st && S_ISSOCK(st->st_mode)) {
        tell(messages, {"/", path, ": a socket is left out"});
        return {};
    }
    return writer.add(folder, name, path);
}

}  // namespace

Status write_changes(const std::string& form, int initramfs, int made, int out, int messages) {
    const bool layer = form == "layer";
    if (!layer && form != "list") return failure({form, ": is neither \"list\" nor \"layer\""});
    const Result<Place> root = open_trees(initramfs);
    if (!root.ok()) return root.status;
    const Result<bool> links = any_linked(initramfs);
    if (!links.ok()) return links.status;
    const Result<Made> made_things = made_from(made);
    if (!made_things.ok()) return made_things.status;
    Result<MadePaths> paths = MadePaths::of(made_things.value, root.value.image.get());
    if (!paths.ok()) return paths.status;
    const Result<bool> root_changed = root_itself_changed(root.value, initramfs);
    if (!root_changed.ok()) return root_changed.status;

    if (layer) {
        TarWriter writer(out);
        const Difference::Tell tell = [&](char kind, int folder, const char* name, const std::string& path) {
            return tell_layer(writer, messages, kind, folder, name, path);
        };
        if (root_changed.value) {
            if (Status status = writer.add(root.value.root.get(), ".", "."); !status.ok()) return status;
        }
        if (Status status = Difference(std::move(paths.value), links.value, true, tell).tell_below(root.value); !status.ok()) return status;
        return writer.finish();
    }
    ListWriter writer(out);
    const Difference::Tell tell = [&](char kind, int, const char*, const std::string& path) { return writer.tell(kind, path); };
    if (root_changed.value) {
        if (Status status = writer.tell('C', ""); !status.ok()) return status;
    }
    if (Status status = Difference(std::move(paths.value), links.value, false, tell).tell_below(root.value); !status.ok()) return status;
    return writer.flush();
}

}  // namespace init
