#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "oci/stream.h"

namespace dbg {

struct UnpackOptions {
    bool owners = false;                        // owners as the tar has them, and setuid, setgid and sticky bits; for root alone
    bool only_a_file = false;                   // a folder is an error
    uint64_t limit_bytes = uint64_t{64} << 30;  // of files, their holes included
};

struct Unpacked {
    bool folder = false;
    std::string link;               // a symbolic link: where it leads
    uint64_t bytes = 0;             // of files
    uint64_t devices_left_out = 0;  // and further names of devices
};

// Unpacks a stranger's tar, whose entries have to be `name` and what is below it, so that `name` becomes the new file or folder `made` in
// `folder`, which is empty and nobody else's. Nothing is written elsewhere, and no device, attribute or ACL is made. Reads the stream to
// its end. The process's working folder is another meanwhile. Throws base::Error that names the entry, and what the stream throws; what was
// unpacked then stays.
Unpacked unpack(oci::StreamPtr tar, const std::string& name, const std::filesystem::path& folder, const std::string& made,
                const UnpackOptions& options);

}  // namespace dbg
