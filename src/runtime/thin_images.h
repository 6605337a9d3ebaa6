#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/options.h"
#include "thin/image_server.h"
#include "vm/machine.h"

namespace runtime {

// Called from threads of their own; must not throw.
struct ThinEvents {
    std::function<void(const std::string& text)> notice;    // why the VM waits for its image
    std::function<void(const std::string& reason)> failed;  // it has waited for longer than the patience
};

// The cache of blocks below options.cache_dir; null where there is no such folder.
std::unique_ptr<thin::BlockCache> open_block_cache(const Options& options);

// Reads an image's trailer and superblock. Of a thin image it also fetches what a mount needs, so that a server that fails, and a policy
// that forbids it, are reported now. Throws base::Error.
void check_image(const Options& options, const std::filesystem::path& image);

// What serves a VM's images that are not read as files: thin ones, and the one whose reads are recorded. It must outlive the VM.
class ThinImages {
public:
    ThinImages(const Options& options, ThinEvents events);

    // The disk of an image, served from here or opened as a file. Throws base::Error.
    vm::Disk disk(const std::filesystem::path& image, const std::string& serial);

    // Whether any image is thin.
    bool any() const { return any_; }

    // Writes the record that Options::record_reads asks for: a block number per line. Throws base::Error.
    void write_record() const;

private:
    Options options_;
    ThinEvents events_;
    bool any_ = false;
    std::unique_ptr<thin::BlockCache> cache_;
    std::vector<thin::BlockCache::Lease> leases_;
    std::vector<std::unique_ptr<thin::ImageServer>> servers_;
};

}  // namespace runtime
