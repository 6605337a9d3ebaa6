#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gvmi/squashfs_reader.h"

namespace gvmi {

// Limits for a walk and for reading data; a stranger's image beyond them is refused.
struct Limits {
    uint64_t entries = 10'000'000;
    uint64_t bytes = uint64_t{64} << 30;        // of data that is not zeros
    uint64_t path_bytes = uint64_t{512} << 20;  // of complete paths and of the targets of links; as much as a conversion allows
};

// What a walk has seen, against the limits. Directories that share bytes, which no program writes, are refused as soon as they have more
// than there are in their blocks: otherwise a small image could list gigabytes. For one walk, or for the parts of one.
class Account {
public:
    Account(SquashfsReader& reader, const Limits& limits) : reader_(reader), limits_(limits) {}

    // Counts a file or directory. Throws base::Error beyond the limits, and for a directory that was seen before.
    void visit(const std::string& path, const File& file);
    // A directory's listing; its names count as entries, since they take memory. Throws like visit().
    std::vector<Name> list(const std::string& path, const File& directory);

private:
    struct Block {
        uint64_t next;
        size_t used;
    };
    void count(uint64_t entries);
    void claim(const SquashfsReader::Piece& piece);

    SquashfsReader& reader_;
    Limits limits_;
    uint64_t entries_ = 0;
    uint64_t path_bytes_ = 0;
    std::set<uint32_t> directories_;    // inode numbers
    std::map<uint64_t, Block> blocks_;  // that listings were in
};

// Calls `visit` for the root (path "/") and everything below it, a directory before its contents, sorted by bytes. Calls `leave`, where
// given, for a directory after its contents. Throws base::Error, also for directories in a circle, paths longer than PATH_MAX and beyond
// the limits.
struct Visitor {
    std::function<void(const std::string& path, const File& file)> visit;
    std::function<void(const std::string& path, const File& directory)> leave = {};
};
void walk(SquashfsReader& reader, const Limits& limits, const Visitor& visitor);
// Like walk, starting at a directory or file.
void walk(SquashfsReader& reader, const std::string& path, const File& file, const Limits& limits, const Visitor& visitor);
// The same, counted together with others.
void walk(SquashfsReader& reader, const std::string& path, const File& file, Account& account, const Visitor& visitor);

// "a//b/./c/" becomes "/a/b/c"; ".." removes a name.
std::string absolute_path(const std::string& path);

// The file at a path; symbolic links, including the last, are followed inside the image. Nothing where there is no such file.
std::optional<File> find(SquashfsReader& reader, const std::string& path, bool follow_last = true);

// A file's content, cut after `limit` bytes.
std::string read_start(SquashfsReader& reader, const File& file, size_t limit);

}  // namespace gvmi
