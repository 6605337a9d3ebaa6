#include "gvmi/squashfs_writer.h"

#include <sched.h>
#include <sqfs/block_processor.h>
#include <sqfs/block_writer.h>
#include <sqfs/dir_writer.h>
#include <sqfs/error.h>
#include <sqfs/frag_table.h>
#include <sqfs/id_table.h>
#include <sqfs/inode.h>
#include <sqfs/meta_writer.h>
#include <sqfs/super.h>
#include <sqfs/xattr_writer.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <limits>
#include <new>

#include "base/error.h"
#include "gvmi/squashfs_compressor.h"
#include "gvmi/squashfs_file.h"

namespace gvmi {
namespace {

constexpr uint32_t kNone = 0xFFFFFFFF;  // squashfs's "no attributes", "no fragment"
constexpr size_t kMaxName = 255;        // NAME_MAX: no system call can name more
constexpr size_t kMaxTarget = 4095;     // PATH_MAX without its zero; the kernel refuses longer symbolic links

struct Destroy {
    void operator()(void* object) const { sqfs_destroy(object); }
};
template <typename T>
using Object = std::unique_ptr<T, Destroy>;

struct Free {
    void operator()(sqfs_inode_generic_t* inode) const { sqfs_free(inode); }
};
using InodePtr = std::unique_ptr<sqfs_inode_generic_t, Free>;

template <typename T>
Object<T> made(T* object) {
    if (object == nullptr) throw std::bad_alloc();
    return Object<T>(object);
}

const char* error_text(int error) {
    switch (error) {
        case SQFS_ERROR_ALLOC:
            return "not enough memory";
        case SQFS_ERROR_COMPRESSOR:
            return "the compressor failed";
        case SQFS_ERROR_OVERFLOW:
            return "more than squashfs can hold (65,536 owners and groups; 4 GiB of names or attributes)";
        case SQFS_ERROR_UNSUPPORTED:
            return "squashfs cannot hold this";
        default:
            return "libsquashfs failed";
    }
}

// Allocated as libsquashfs does, for its sqfs_free.
InodePtr new_inode(uint16_t type, size_t payload = 0) {
    auto* inode = static_cast<sqfs_inode_generic_t*>(std::calloc(1, sizeof(sqfs_inode_generic_t) + payload));
    if (inode == nullptr) throw std::bad_alloc();
    inode->base.type = type;
    inode->payload_bytes_available = static_cast<uint32_t>(payload);
    inode->payload_bytes_used = static_cast<uint32_t>(payload);
    return InodePtr(inode);
}

// While it lives, new threads have the policy SCHED_BATCH: one that is woken does not interrupt who wakes it. A worker gets its next block
// while the thread that feeds all of them has more to do.
class NewThreadsWait {
public:
    NewThreadsWait() : usual_(::sched_getscheduler(0) == SCHED_OTHER) { set(SCHED_BATCH); }
    ~NewThreadsWait() { set(SCHED_OTHER); }
    NewThreadsWait(const NewThreadsWait&) = delete;
    NewThreadsWait& operator=(const NewThreadsWait&) = delete;

private:
    void set(int policy) const {
        const sched_param none{};
        if (usual_) (void)::sched_setscheduler(0, policy, &none);
    }

    bool usual_;
};

}  // namespace

bool holds_attribute(std::string_view name) {
    for (const std::string_view prefix : {"user.", "trusted.", "security."}) {
        if (name.starts_with(prefix) && name.size() > prefix.size() && name.size() <= kMaxName) return true;
    }
    return false;
}

struct SquashfsWriter::State {
    State(int fd, std::string file_name, const Options& options);

    void check(int error) const {
        if (error == 0) return;
        if (file.error_number != 0) throw base::SystemError(file.error_number, "cannot write " + name);
        throw base::Error("cannot write " + name + ": " + error_text(error));
    }
    uint32_t write_attributes(const Attributes* attributes) const;
    void fill(sqfs_inode_generic_t& generic, const Inode& inode) const;
    InodeRef write(const sqfs_inode_generic_t& generic, const Inode& inode) const;
    // All but files and directories.
    InodeRef write_special(sqfs_inode_generic_t& generic, const Inode& inode) const;
    void finish_data();

    std::string name;
    SquashfsFile file;
    sqfs_super_t super{};
    bool data_finished = false;
    // Stable addresses: the block processor writes an inode while its blocks are under way.
    std::deque<sqfs_inode_generic_t*> files;
    // In this order: the later ones hold pointers to the earlier ones until they are destroyed.
    Object<sqfs_compressor_t> compressor;
    Object<sqfs_compressor_t> decompressor;
    Object<sqfs_block_writer_t> blocks;
    Object<sqfs_frag_table_t> fragments;
    Object<sqfs_block_processor_t> processor;
    Object<sqfs_id_table_t> ids;
    Object<sqfs_xattr_writer_t> attributes;
    Object<sqfs_meta_writer_t> inodes;
    Object<sqfs_meta_writer_t> directories;
    Object<sqfs_dir_writer_t> directory;
};

SquashfsWriter::State::State(int fd, std::string file_name, const Options& options) : name(std::move(file_name)), file(fd) {
    // No current time: equal trees give equal bytes.
    const Method method = options.compression.method;
    check(sqfs_super_init(&super, options.block_size, 0, static_cast<SQFS_COMPRESSOR>(method)));
    check(sqfs_super_write(&super, &file));
    compressor = made(make_squashfs_compressor(options.compression, options.block_size));
    decompressor = made(make_squashfs_decompressor(method, options.block_size));
    const int stored_options = compressor->write_options(compressor.get(), &file);
    check(std::min(stored_options, 0));
    if (stored_options > 0) super.flags |= SQFS_FLAG_COMPRESSOR_OPTIONS;
    blocks = made(sqfs_block_writer_create(&file, SQFS_DEVBLK_SIZE, 0));
    fragments = made(sqfs_frag_table_create(0));

    sqfs_block_processor_desc_t description{};
    description.size = sizeof description;
    description.max_block_size = options.block_size;
    description.num_workers = options.workers;
    // Blocks in progress: enough that no worker waits, 1.3 MB for each.
    description.max_backlog = 10 * options.workers;
    description.cmp = compressor.get();
    description.wr = blocks.get();
    description.tbl = fragments.get();
    description.file = &file;  // equal hashes are compared byte by byte
    description.uncmp = decompressor.get();
    sqfs_block_processor_t* made_processor = nullptr;
    {
        const NewThreadsWait wait;
        check(sqfs_block_processor_create_ex(&description, &made_processor));
    }
    processor.reset(made_processor);

    ids = made(sqfs_id_table_create(0));
    attributes = made(sqfs_xattr_writer_create(0));
    inodes = made(sqfs_meta_writer_create(&file, compressor.get(), 0));
    directories = made(sqfs_meta_writer_create(&file, compressor.get(), SQFS_META_WRITER_KEEP_IN_MEMORY));
    directory = made(sqfs_dir_writer_create(directories.get(), SQFS_DIR_WRITER_CREATE_EXPORT_TABLE));
}

uint32_t SquashfsWriter::State::write_attributes(const Attributes* list) const {
    uint32_t index = kNone;
    if (list == nullptr || list->empty()) return index;
    check(sqfs_xattr_writer_begin(attributes.get(), 0));
    for (const auto& [key, value] : *list)
        check(sqfs_xattr_writer_add(attributes.get(), key.c_str(), value.data(), value.size()));
    check(sqfs_xattr_writer_end(attributes.get(), &index));
    return index;
}

void SquashfsWriter::State::fill(sqfs_inode_generic_t& generic, const Inode& inode) const {
    generic.base.mode = static_cast<uint16_t>(inode.mode);
    generic.base.mod_time = static_cast<uint32_t>(std::clamp<int64_t>(inode.mtime, 0, std::numeric_limits<uint32_t>::max()));
    generic.base.inode_number = inode.number;
    check(sqfs_id_table_id_to_index(ids.get(), inode.uid, &generic.base.uid_idx));
    check(sqfs_id_table_id_to_index(ids.get(), inode.gid, &generic.base.gid_idx));
}

InodeRef SquashfsWriter::State::write(const sqfs_inode_generic_t& generic, const Inode& inode) const {
    uint64_t block = 0;
    uint32_t offset = 0;
    sqfs_meta_writer_get_position(inodes.get(), &block, &offset);
    check(sqfs_meta_writer_write_inode(inodes.get(), &generic));
    return {block << 16 | offset, inode.number, inode.mode};
}

InodeRef SquashfsWriter::State::write_special(sqfs_inode_generic_t& generic, const Inode& inode) const {
    fill(generic, inode);
    check(sqfs_inode_set_xattr_index(&generic, write_attributes(inode.attributes)));
    return write(generic, inode);
}

void SquashfsWriter::State::finish_data() {
    if (data_finished) return;
    check(sqfs_block_processor_finish(processor.get()));
    super.inode_table_start = file.size;
    data_finished = true;
}

SquashfsWriter::SquashfsWriter(int fd, std::string name, const Options& options)
    : state_(std::make_unique<State>(fd, std::move(name), options)) {}

SquashfsWriter::~SquashfsWriter() {
    // The workers end before the inodes that they fill.
    state_->processor.reset();
    for (sqfs_inode_generic_t* inode : state_->files)
        sqfs_free(inode);
}

size_t SquashfsWriter::begin_file() {
    state_->files.push_back(nullptr);
    state_->check(sqfs_block_processor_begin_file(state_->processor.get(), &state_->files.back(), nullptr, 0));
    return state_->files.size() - 1;
}

void SquashfsWriter::append(std::span<const std::byte> data) {
    if (data.empty()) return;  // libsquashfs 1.2.0 crashes on nothing at the start of a file
    state_->check(sqfs_block_processor_append(state_->processor.get(), data.data(), data.size()));
}

void SquashfsWriter::append_zeros(uint64_t size) {
    static constexpr std::array<std::byte, size_t{128} << 10> kZeros{};
    for (uint64_t left = size; left > 0;) {
        const size_t n = static_cast<size_t>(std::min<uint64_t>(left, kZeros.size()));
        append(std::span(kZeros).first(n));
        left -= n;
    }
}

void SquashfsWriter::end_file() {
    state_->check(sqfs_block_processor_end_file(state_->processor.get()));
}

InodeRef SquashfsWriter::write_file(const Inode& inode, size_t handle) {
    state_->finish_data();
    sqfs_inode_generic_t& generic = *state_->files.at(handle);
    state_->fill(generic, inode);
    const uint32_t attributes = state_->write_attributes(inode.attributes);
    // A basic file inode has one link and no attributes.
    if (attributes != kNone || inode.links > 1) {
        state_->check(sqfs_inode_make_extended(&generic));
        generic.data.file_ext.nlink = inode.links;
        generic.data.file_ext.xattr_idx = attributes;
    }
    return state_->write(generic, inode);
}

InodeRef SquashfsWriter::write_symlink(const Inode& inode, std::string_view target) {
    state_->finish_data();
    if (target.empty() || target.size() > kMaxTarget) {
        throw base::Error("a symbolic link's target has " + std::to_string(target.size()) + " bytes, of which 1 to 4,095 are possible");
    }
    const InodePtr generic = new_inode(SQFS_INODE_SLINK, target.size());
    generic->data.slink.nlink = inode.links;
    generic->data.slink.target_size = static_cast<uint32_t>(target.size());
    std::memcpy(generic->extra, target.data(), target.size());
    return state_->write_special(*generic, inode);
}

InodeRef SquashfsWriter::write_device(const Inode& inode, unsigned major, unsigned minor) {
    state_->finish_data();
    // Linux has 12 bits for the major and 20 for the minor number.
    if (major >= 1U << 12 || minor >= 1U << 20) {
        throw base::Error("a device has the number " + std::to_string(major) + ":" + std::to_string(minor) + ", which Linux does not have");
    }
    const InodePtr generic = new_inode(S_ISBLK(inode.mode) ? SQFS_INODE_BDEV : SQFS_INODE_CDEV);
    generic->data.dev.nlink = inode.links;
    generic->data.dev.devno = (minor & 0xff) | major << 8 | (minor & ~0xffU) << 12;
    return state_->write_special(*generic, inode);
}

InodeRef SquashfsWriter::write_ipc(const Inode& inode) {
    state_->finish_data();
    const InodePtr generic = new_inode(S_ISSOCK(inode.mode) ? SQFS_INODE_SOCKET : SQFS_INODE_FIFO);
    generic->data.ipc.nlink = inode.links;
    return state_->write_special(*generic, inode);
}

InodeRef SquashfsWriter::write_directory(const Inode& inode, uint32_t parent,
                                         std::span<const std::pair<std::string_view, InodeRef>> entries) {
    state_->finish_data();
    sqfs_dir_writer_t* directory = state_->directory.get();
    state_->check(sqfs_dir_writer_begin(directory, 0));
    std::string name;
    for (const auto& [entry, ref] : entries) {
        if (entry.empty() || entry.size() > kMaxName) throw base::Error("a name has " + std::to_string(entry.size()) + " bytes");
        name = entry;
        state_->check(sqfs_dir_writer_add_entry(directory, name.c_str(), ref.number, ref.position, static_cast<uint16_t>(ref.mode)));
    }
    state_->check(sqfs_dir_writer_end(directory));
    const uint32_t attributes = state_->write_attributes(inode.attributes);
    const InodePtr generic(sqfs_dir_writer_create_inode(directory, 0, attributes, parent));
    if (!generic) throw std::bad_alloc();
    // libsquashfs counts every entry as a link; a directory has those of its subdirectories.
    const bool extended = generic->base.type == SQFS_INODE_EXT_DIR;
    (extended ? generic->data.dir_ext.nlink : generic->data.dir.nlink) = inode.links;
    state_->fill(*generic, inode);
    return state_->write(*generic, inode);
}

uint64_t SquashfsWriter::finish(const InodeRef& root) {
    State& s = *state_;
    s.finish_data();
    s.check(sqfs_meta_writer_flush(s.inodes.get()));
    s.super.root_inode_ref = root.position;
    s.super.inode_count = root.number;
    s.super.directory_table_start = s.file.size;
    s.check(sqfs_meta_writer_flush(s.directories.get()));
    s.check(sqfs_meta_write_write_to_file(s.directories.get()));
    s.check(sqfs_frag_table_write(s.fragments.get(), &s.file, &s.super, s.compressor.get()));
    s.check(sqfs_dir_writer_write_export_table(s.directory.get(), &s.file, s.compressor.get(), root.number, root.position, &s.super));
    s.check(sqfs_id_table_write(s.ids.get(), &s.file, &s.super, s.compressor.get()));
    s.check(sqfs_xattr_writer_flush(s.attributes.get(), &s.file, &s.super, s.compressor.get()));
    s.super.bytes_used = s.file.size;
    s.check(sqfs_super_write(&s.super, &s.file));
    s.check(s.file.truncate(&s.file, (s.file.size + SQFS_DEVBLK_SIZE - 1) / SQFS_DEVBLK_SIZE * SQFS_DEVBLK_SIZE));
    return s.super.bytes_used;
}

}  // namespace gvmi
