#pragma once

#include <archive.h>
#include <sys/stat.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "init/status.h"

namespace init {

using Attributes = std::vector<std::pair<std::string, std::string>>;

// The extended attributes of what `name` in `folder` is, sorted by their names; none where the file system has none. At most 512 KiB, more
// is a failure. Needs /proc.
Result<Attributes> attributes_of(int folder, const char* name);

// Writes files to a tar in the pax format: long names, sizes over 8 GiB, extended attributes and fractions of seconds.
class TarWriter {
public:
    // `out` has to stay open.
    explicit TarWriter(int out);
    ~TarWriter();
    TarWriter(const TarWriter&) = delete;
    TarWriter& operator=(const TarWriter&) = delete;

    // Adds what `name` in `folder` is, as `tar_name`; of a folder not what it holds. A further name of a file becomes a hard link to the
    // first one. A file that grows or shrinks meanwhile is cut, or padded with zero bytes; one that vanishes is left out.
    Status add(int folder, const char* name, const std::string& tar_name);
    // Adds an empty file of root's, of 1970.
    Status add_mark(const std::string& tar_name);
    // The end of the tar.
    Status finish();

private:
    struct Link {
        std::string name;
        nlink_t left = 0;  // names that have not been seen
    };

    Status add_entry(archive_entry* entry, const std::string& tar_name);
    Status add_data(int file, uint64_t size, const std::string& tar_name);
    bool link_to_first(archive_entry* entry, const struct stat& st, const std::string& tar_name);
    static la_ssize_t write(archive* archive, void* self, const void* data, size_t size);

    int out_;
    struct archive* archive_;
    std::map<std::pair<dev_t, ino_t>, Link> links_;
    size_t links_bytes_ = 0;
};

}  // namespace init
