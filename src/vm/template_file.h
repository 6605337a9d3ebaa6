#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"

namespace vm {

// The state of a saved VM, a memfd each.
struct SavedVm {
    base::UniqueFd memory;
    base::UniqueFd devices;  // QEMU's migration stream, without the memory
};

// A file that holds a saved VM: the blocks of its memory that are not zero, and its devices, all with checksums. It is read on the machine
// that wrote it, so numbers have its byte order.
class TemplateFile {
public:
    // Reads and checks the header and the table. Throws base::Error for anything but a complete template for `key`.
    TemplateFile(base::UniqueFd file, const std::string& key);

    // Copies the memory into a memfd of the VM's size that holds only zeros. Throws base::Error where the file is damaged.
    void fill(int memory) const;

    // A new memfd with the devices, positioned at its beginning. Throws base::Error where the file is damaged.
    base::UniqueFd devices() const;

    // Writes a template into an empty file; the executor runs other work in between. `key` has 64 characters. Throws base::Error.
    static boost::asio::awaitable<void> write(int file, const std::string& key, const SavedVm& saved);

    struct Block {
        uint64_t offset;  // in the memory; a multiple of the page size
        uint32_t size;    // bytes, at most kWindow
        uint32_t crc;
    };
    static constexpr uint32_t kWindow = 256 << 10;

private:
    struct Header {
        char magic[8];
        char key[64];
        uint64_t memory_bytes;
        uint64_t blocks;
        uint64_t data_bytes;  // of all blocks together
        uint32_t devices_bytes;
        uint32_t devices_crc;
        uint32_t table_crc;
        uint32_t crc;  // of the fields above
    };

    base::UniqueFd file_;
    Header header_ = {};
    std::vector<Block> blocks_;
};

}  // namespace vm
