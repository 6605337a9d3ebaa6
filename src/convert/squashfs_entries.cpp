#include "convert/squashfs_entries.h"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/untrusted_text.h"
#include "gvmi/squashfs_reader.h"
#include "gvmi/squashfs_tree.h"

namespace convert {
namespace {

class SquashfsEntries : public oci::Entries {
public:
    explicit SquashfsEntries(const gvmi::ReadAt& read) : reader_(read), account_(reader_, gvmi::Limits()) {}

    bool next(oci::TarEntry& entry) override {
        data_.reset();
        if (!started_) {
            started_ = true;
            describe(entry, "", reader_.root());
            return true;
        }
        while (!way_.empty() && way_.back().next == way_.back().names.size())
            way_.pop_back();
        if (way_.empty()) return false;
        Folder& folder = way_.back();
        const gvmi::Name name = folder.names[folder.next++];
        const std::string path = folder.path + "/" + name.name;
        base::with_context(base::quote(path), [&] { describe(entry, path, reader_.file(name.position)); });
        return true;
    }

    std::optional<oci::TarData> read() override {
        while (data_) {
            const gvmi::FileData::Block block = data_->next();
            if (block.size == 0) break;
            const uint64_t offset = position_;
            position_ += block.size;
            if (!block.bytes.empty()) return oci::TarData{offset, block.bytes};
        }
        return std::nullopt;
    }

    void drain() override {}

private:
    struct Folder {
        std::string path;  // "" for the root
        std::vector<gvmi::Name> names;
        size_t next = 0;
    };

    void describe(oci::TarEntry& entry, const std::string& path, const gvmi::File& file) {
        account_.visit(path.empty() ? "/" : path, file);
        entry = {};
        entry.path = path.empty() ? "." : path.substr(1);
        entry.type = oci::entry_type(file.mode);
        const bool folder = entry.type == oci::TarEntry::Type::directory;
        if (!folder && file.links > 1) {
            const auto [first, is_new] = links_.emplace(file.number, entry.path);
            if (!is_new) {
                entry.type = oci::TarEntry::Type::hard_link;
                entry.target = first->second;
                return;
            }
        }
        entry.target = file.target;
        entry.permissions = file.mode & 07777;
        entry.uid = file.uid;
        entry.gid = file.gid;
        entry.mtime = file.mtime;
        entry.major = file.major;
        entry.minor = file.minor;
        entry.attributes = reader_.attributes(file);
        if (folder) way_.push_back({path, account_.list(path.empty() ? "/" : path, file)});
        if (entry.type != oci::TarEntry::Type::file) return;
        entry.size = file.size;
        data_.emplace(reader_, file);
        position_ = 0;
    }

    gvmi::SquashfsReader reader_;
    gvmi::Account account_;
    bool started_ = false;
    std::vector<Folder> way_;
    std::map<uint32_t, std::string> links_;
    std::optional<gvmi::FileData> data_;  // of the current file
    uint64_t position_ = 0;
};

}  // namespace

std::unique_ptr<oci::Entries> open_squashfs(const gvmi::ReadAt& read) {
    return std::make_unique<SquashfsEntries>(read);
}

}  // namespace convert
