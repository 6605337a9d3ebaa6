#include "squashfs_look.h"

#include <sqfs/compressor.h>
#include <sqfs/dir_reader.h>
#include <sqfs/inode.h>
#include <sqfs/io.h>
#include <sqfs/super.h>
#include <sqfs/xattr.h>
#include <sqfs/xattr_reader.h>

#include <memory>

#include "base/error.h"

namespace test {
namespace {

struct Destroy {
    void operator()(void* object) const { sqfs_destroy(object); }
};
template <typename T>
using Object = std::unique_ptr<T, Destroy>;

struct Free {
    void operator()(void* memory) const { sqfs_free(memory); }
};
template <typename T>
using Memory = std::unique_ptr<T, Free>;

void check(int error) {
    if (error != 0) throw base::Error("libsquashfs says " + std::to_string(error));
}

uint32_t links_of(const sqfs_inode_generic_t& inode) {
    switch (inode.base.type) {
        case SQFS_INODE_FILE:
            return 1;
        case SQFS_INODE_EXT_FILE:
            return inode.data.file_ext.nlink;
        case SQFS_INODE_DIR:
            return inode.data.dir.nlink;
        case SQFS_INODE_EXT_DIR:
            return inode.data.dir_ext.nlink;
        default:
            return inode.data.slink.nlink;  // the first field of all the others
    }
}

std::map<std::string, std::string> attributes_of(sqfs_xattr_reader_t* reader, const sqfs_inode_generic_t& inode) {
    std::map<std::string, std::string> result;
    uint32_t index = 0;
    check(sqfs_inode_get_xattr_index(&inode, &index));
    if (index == 0xFFFFFFFF) return result;
    sqfs_xattr_id_t description{};
    check(sqfs_xattr_reader_get_desc(reader, index, &description));
    check(sqfs_xattr_reader_seek_kv(reader, &description));
    for (uint32_t i = 0; i < description.count; i++) {
        sqfs_xattr_entry_t* key = nullptr;
        check(sqfs_xattr_reader_read_key(reader, &key));
        const Memory<sqfs_xattr_entry_t> key_memory(key);
        sqfs_xattr_value_t* value = nullptr;
        check(sqfs_xattr_reader_read_value(reader, key, &value));
        const Memory<sqfs_xattr_value_t> value_memory(value);
        result[reinterpret_cast<const char*>(key->key)] = std::string(reinterpret_cast<const char*>(value->value), value->size);
    }
    return result;
}

}  // namespace

Look look(const std::string& squashfs, const std::string& path) {
    const Object<sqfs_file_t> file(sqfs_open_file(squashfs.c_str(), SQFS_FILE_OPEN_READ_ONLY));
    if (!file) throw base::Error("cannot open " + squashfs);
    sqfs_super_t super{};
    check(sqfs_super_read(&super, file.get()));
    sqfs_compressor_config_t configuration{};
    check(sqfs_compressor_config_init(&configuration, SQFS_COMP_GZIP, super.block_size, SQFS_COMP_FLAG_UNCOMPRESS));
    sqfs_compressor_t* made = nullptr;
    check(sqfs_compressor_create(&configuration, &made));
    const Object<sqfs_compressor_t> compressor(made);
    const Object<sqfs_dir_reader_t> directories(sqfs_dir_reader_create(&super, compressor.get(), file.get(), 0));
    const Object<sqfs_xattr_reader_t> attributes(sqfs_xattr_reader_create(0));
    check(sqfs_xattr_reader_load(attributes.get(), &super, file.get(), compressor.get()));
    sqfs_inode_generic_t* found = nullptr;
    check(sqfs_dir_reader_find_by_path(directories.get(), nullptr, path.c_str(), &found));
    const Memory<sqfs_inode_generic_t> inode(found);
    return {inode->base.inode_number, links_of(*inode), attributes_of(attributes.get(), *inode)};
}

}  // namespace test
