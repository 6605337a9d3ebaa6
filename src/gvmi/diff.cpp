#include "gvmi/diff.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"
#include "base/untrusted_text.h"
#include "gvmi/verify.h"

namespace gvmi {
namespace {

using Kind = Difference::Kind;

constexpr uint32_t kNoFragment = 0xFFFFFFFF;
constexpr uint64_t kStoredBytes = 0xFFFFFF;  // of a block's size; the bit above says how it is stored

bool all_zero(std::span<const std::byte> bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

// The next bytes of a file, in pieces that suit the reader of the other file too.
struct Pieces {
    FileData data;
    FileData::Block block{};
    size_t used = 0;

    size_t left() {
        if (used == block.size) {
            block = data.next();
            used = 0;
        }
        return block.size - used;
    }
    std::span<const std::byte> take(size_t n) {
        const size_t start = used;
        used += n;
        return block.bytes.empty() ? block.bytes : block.bytes.subspan(start, n);
    }
};

struct Comparison {
    SquashfsReader& a;
    SquashfsReader& b;
    const std::function<void(const Difference&)>& report;
    const KnownSame& known_same;
    Budget budget;
    Account account_a;
    Account account_b;

    // Both files are in the same place, in the same blocks, and those are known to be the same.
    bool stored_alike(const File& x, const File& y) {
        if (!known_same || x.data != y.data || x.fragment_offset != y.fragment_offset) return false;
        const bool with_fragment = x.fragment != kNoFragment;
        if (with_fragment != (y.fragment != kNoFragment)) return false;
        const uint64_t block_size = a.superblock().block_size;
        if (block_size != b.superblock().block_size || a.superblock().method != b.superblock().method) return false;
        MetadataCursor p = x.block_sizes.value();
        MetadataCursor q = y.block_sizes.value();
        uint64_t bytes = 0;
        for (uint64_t i = 0; i < x.size / block_size + (!with_fragment && x.size % block_size > 0 ? 1 : 0); i++) {
            const uint64_t stored = p.number(4);
            if (stored != q.number(4)) return false;
            bytes += stored & kStoredBytes;
        }
        if (!known_same(x.data, bytes)) return false;
        if (!with_fragment) return true;
        const SquashfsReader::Fragment end = a.fragment(x.fragment);
        return end == b.fragment(y.fragment) && known_same(end.position, end.stored & kStoredBytes);
    }

    bool same_content(const File& x, const File& y) {
        if (stored_alike(x, y)) return true;
        Pieces one{FileData(a, x)};
        Pieces two{FileData(b, y)};
        while (const size_t n = std::min(one.left(), two.left())) {
            if (one.used == 0) budget.take(one.block);
            const auto p = one.take(n);
            const auto q = two.take(n);
            if (p.empty() || q.empty()) {
                if (!all_zero(p.empty() ? q : p)) return false;
            } else if (!std::equal(p.begin(), p.end(), q.begin())) {
                return false;
            }
        }
        return true;
    }

    std::vector<std::string> changes(const File& x, const File& y) {
        std::vector<std::string> what;
        if ((x.mode & S_IFMT) != (y.mode & S_IFMT)) return {"type"};
        if (x.mode != y.mode) what.emplace_back("mode");
        if (x.uid != y.uid || x.gid != y.gid) what.emplace_back("owner");
        if (x.mtime != y.mtime) what.emplace_back("time");
        if (x.links != y.links && !S_ISDIR(x.mode)) what.emplace_back("links");
        if (x.size != y.size) {
            what.emplace_back("size");
        } else if (S_ISREG(x.mode) && !same_content(x, y)) {
            what.emplace_back("content");
        }
        if (x.target != y.target) what.emplace_back("target");
        if (x.major != y.major || x.minor != y.minor) what.emplace_back("device");
        Attributes p = a.attributes(x);
        Attributes q = b.attributes(y);
        std::sort(p.begin(), p.end());
        std::sort(q.begin(), q.end());
        if (p != q) what.emplace_back("attributes");
        return what;
    }

    void whole(SquashfsReader& reader, Account& account, const std::string& path, uint64_t position, Kind kind) {
        walk(reader, path, reader.file(position), account, {[&](const std::string& at, const File&) { report({kind, at, {}}); }});
    }

    // Recursive: PATH_MAX bounds the depth.
    void both(const std::string& path, const File& x, const File& y) {
        account_a.visit(path, x);
        account_b.visit(path, y);
        const auto what = base::with_context(base::quote(path), [&] { return changes(x, y); });
        if (!what.empty()) report({Kind::changed, path, what});
        const std::vector<Name> p = S_ISDIR(x.mode) ? account_a.list(path, x) : std::vector<Name>();
        const std::vector<Name> q = S_ISDIR(y.mode) ? account_b.list(path, y) : std::vector<Name>();
        const std::string start = (path == "/" ? "" : path) + "/";
        for (auto i = p.begin(), j = q.begin(); i != p.end() || j != q.end();) {
            const int order = i == p.end() ? 1 : j == q.end() ? -1 : i->name.compare(j->name);
            if (order < 0) {
                whole(a, account_a, start + i->name, i->position, Kind::removed);
            } else if (order > 0) {
                whole(b, account_b, start + j->name, j->position, Kind::added);
            } else {
                both(start + i->name, a.file(i->position), b.file(j->position));
            }
            if (order <= 0) ++i;
            if (order >= 0) ++j;
        }
    }
};

}  // namespace

void diff(SquashfsReader& a, SquashfsReader& b, const Limits& limits, const std::function<void(const Difference&)>& report,
          const KnownSame& known_same) {
    Comparison{a, b, report, known_same, Budget(limits.bytes), Account(a, limits), Account(b, limits)}.both("/", a.root(), b.root());
}

}  // namespace gvmi
