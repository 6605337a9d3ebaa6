#include "gvmi/squashfs_writer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/fd.h"
#include "base/subprocess.h"
#include "squashfs_look.h"

namespace {

using gvmi::Inode;
using gvmi::InodeRef;
using gvmi::SquashfsWriter;
using testing::HasSubstr;
using testing::ThrowsMessage;
using Entries = std::vector<std::pair<std::string_view, InodeRef>>;

std::span<const std::byte> bytes(std::string_view text) {
    return std::as_bytes(std::span(text));
}

// Text that compresses, different at every place.
std::string text_of(size_t size) {
    std::string text;
    for (size_t i = 0; text.size() < size; i++)
        text += "line " + std::to_string(i * i) + "\n";
    text.resize(size);
    return text;
}

struct File {
    base::UniqueFd fd{::memfd_create("squashfs", 0)};
    std::string path = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd.get());

    std::string content() const { return base::read_file(path, size_t{1} << 30); }
};

// Another implementation's view of it.
std::string unsquashfs(const File& file, const std::vector<std::string>& arguments) {
    std::vector<std::string> argv = {"unsquashfs"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    argv.push_back(file.path);
    const base::Finished finished = base::run(argv);
    EXPECT_EQ(finished.code, 0) << finished.output;
    return finished.output;
}

// The files are named by their numbers, the last one with `suffix`.
uint64_t write_files(const File& file, unsigned workers, const std::vector<std::string>& contents, const std::string& suffix = "") {
    SquashfsWriter::Options options;
    options.workers = workers;
    SquashfsWriter writer(file.fd.get(), "test", options);
    std::vector<size_t> handles;
    for (const std::string& content : contents) {
        handles.push_back(writer.begin_file());
        writer.append(bytes(content));
        writer.end_file();
    }
    std::vector<std::string> names;
    for (size_t i = 0; i < contents.size(); i++) {
        const std::string digits = std::to_string(i);
        names.push_back(std::string(6 - digits.size(), '0') + digits);
    }
    names.back() += suffix;
    Entries entries;
    uint32_t number = 0;
    for (size_t i = 0; i < contents.size(); i++) {
        entries.emplace_back(names[i], writer.write_file({.mode = S_IFREG | 0644, .number = ++number}, handles[i]));
    }
    ++number;
    return writer.finish(writer.write_directory({.mode = S_IFDIR | 0755, .links = 2, .number = number}, number + 1, entries));
}

TEST(SquashfsWriter, WritesEveryTypeAsAnotherReaderSeesIt) {
    const File file;
    SquashfsWriter writer(file.fd.get(), "test", {});
    const size_t data = writer.begin_file();
    writer.append(bytes("hello"));
    writer.append_zeros(300000);
    writer.append(bytes("end"));
    writer.end_file();
    const size_t empty = writer.begin_file();
    writer.end_file();

    const gvmi::Attributes attributes = {{"user.a", std::string("x\0y", 3)}, {"security.capability", "abc"}};
    const InodeRef linked = writer.write_file(
        {.mode = S_IFREG | 04755, .uid = 100000, .gid = 5, .mtime = 86400, .links = 2, .number = 1, .attributes = &attributes}, data);
    const InodeRef nothing = writer.write_file({.mode = S_IFREG, .mtime = -5, .number = 2}, empty);
    const InodeRef link =
        writer.write_symlink({.mode = S_IFLNK | 0777, .mtime = 1LL << 33, .number = 3, .attributes = &attributes}, "../x");
    const InodeRef device = writer.write_device({.mode = S_IFBLK | 0660, .number = 4}, 8, 200);
    const InodeRef terminal = writer.write_device({.mode = S_IFCHR | 0620, .number = 5, .attributes = &attributes}, 5, 1);
    const InodeRef fifo = writer.write_ipc({.mode = S_IFIFO | 0600, .number = 6, .attributes = &attributes});
    const Entries inner = {{"again", linked}};
    const InodeRef folder = writer.write_directory({.mode = S_IFDIR | 01777, .links = 2, .number = 7, .attributes = &attributes}, 8, inner);
    const Entries outer = {{"blk", device},  {"chr", terminal}, {"dir", folder},  {"fifo", fifo},
                           {"file", linked}, {"link", link},    {"none", nothing}};
    const uint64_t size = writer.finish(writer.write_directory({.mode = S_IFDIR | 0755, .links = 3, .number = 8}, 9, outer));

    EXPECT_EQ(std::filesystem::file_size(file.path), (size + 4095) / 4096 * 4096);
    EXPECT_LT(size, 4096u);
    const std::string listing = unsquashfs(file, {"-lln", "-UTC"});
    EXPECT_THAT(listing, HasSubstr("drwxr-xr-x 0/0"));
    EXPECT_THAT(listing, HasSubstr("brw-rw---- 0/0                   8,200 1970-01-01 00:00 squashfs-root/blk"));
    EXPECT_THAT(listing, HasSubstr("crw--w---- 0/0                   5,  1 1970-01-01 00:00 squashfs-root/chr"));
    EXPECT_THAT(listing, HasSubstr("drwxrwxrwt 0/0"));
    EXPECT_THAT(listing, HasSubstr("-rwsr-xr-x 100000/5             300008 1970-01-02 00:00 squashfs-root/dir/again"));
    EXPECT_THAT(listing, HasSubstr("-rwsr-xr-x 100000/5             300008 1970-01-02 00:00 squashfs-root/file"));
    EXPECT_THAT(listing, HasSubstr("prw------- 0/0"));
    EXPECT_THAT(listing, HasSubstr("2106-02-07 06:28 squashfs-root/link -> ../x"));
    EXPECT_THAT(listing, HasSubstr("---------- 0/0                       0 1970-01-01 00:00 squashfs-root/none"));
}

TEST(SquashfsWriter, WritesLinksAndAttributes) {
    const File file;
    SquashfsWriter writer(file.fd.get(), "test", {});
    const size_t data = writer.begin_file();
    writer.append(bytes("hello"));
    writer.end_file();
    const gvmi::Attributes attributes = {
        {"user.a", std::string("x\0y", 3)}, {"security.capability", ""}, {"trusted.\xe9", std::string(60000, 'v')}};
    uint32_t number = 0;
    const auto next = [&number, &attributes](mode_t mode, uint32_t links) {
        return Inode{.mode = mode, .links = links, .number = ++number, .attributes = &attributes};
    };
    const InodeRef f = writer.write_file(next(S_IFREG, 3), data);
    const InodeRef l = writer.write_symlink(next(S_IFLNK, 2), "x");
    const InodeRef c = writer.write_device(next(S_IFCHR, 4), 1, 3);
    const InodeRef p = writer.write_ipc(next(S_IFIFO, 5));
    const InodeRef d = writer.write_directory(next(S_IFDIR, 2), 6, {});
    const Entries entries = {{"c", c}, {"d", d}, {"f", f}, {"l", l}, {"p", p}};
    writer.finish(writer.write_directory(next(S_IFDIR, 3), 7, entries));
    const std::map<std::string, std::string> expected(attributes.begin(), attributes.end());
    const std::pair<const char*, uint32_t> all[] = {{"f", 3}, {"l", 2}, {"c", 4}, {"p", 5}, {"d", 2}, {"", 3}};
    for (const auto& [name, links] : all) {
        EXPECT_EQ(test::look(file.path, name).links, links) << name;
        EXPECT_EQ(test::look(file.path, name).attributes, expected) << name;
    }
}

TEST(SquashfsWriter, GivesTheSameBytesAtAnyNumberOfWorkers) {
    std::vector<std::string> contents = {"",           "a", std::string(size_t{128} << 10, 'x'), text_of(size_t{1} << 20), text_of(3000),
                                         text_of(3000)};
    for (size_t i = 0; i < 300; i++)
        contents.push_back(text_of(i * 977));
    const File one;
    write_files(one, 1, contents);
    const std::string expected = one.content();
    for (const unsigned workers : {2, 3, 8}) {
        const File other;
        write_files(other, workers, contents);
        EXPECT_EQ(other.content(), expected) << workers;
    }
}

TEST(SquashfsWriter, LeavesItsCallersPolicyAlone) {
    const File file;
    const int before = ::sched_getscheduler(0);
    const SquashfsWriter writer(file.fd.get(), "test", {});
    EXPECT_EQ(::sched_getscheduler(0), before);
}

TEST(SquashfsWriter, StoresEqualFilesOnce) {
    const File one;
    const File two;
    const uint64_t single = write_files(one, 1, {text_of(size_t{1} << 20)});
    const uint64_t twice = write_files(two, 1, {text_of(size_t{1} << 20), text_of(size_t{1} << 20)});
    EXPECT_LT(twice, single + 100);
}

// At 64 KiB of listing the inode changes its form and gets an index: 4,657 names are 65,525 bytes.
TEST(SquashfsWriter, WritesLargeDirectories) {
    for (size_t more = 0; more < 30; more++) {
        const File file;
        write_files(file, 1, std::vector<std::string>(4657), std::string(more, 'x'));
        const std::string listing = unsquashfs(file, {"-ls"});
        EXPECT_EQ(std::count(listing.begin(), listing.end(), '\n'), 4658) << more;
        EXPECT_THAT(listing, HasSubstr("004656" + std::string(more, 'x') + "\n"));
    }
    const File file;
    write_files(file, 1, std::vector<std::string>(20000));
    const std::string listing = unsquashfs(file, {"-ls"});
    EXPECT_EQ(std::count(listing.begin(), listing.end(), '\n'), 20001);
}

TEST(SquashfsWriter, SaysThatTheDiskIsFull) {
    const base::UniqueFd full(::open("/dev/full", O_RDWR));
    EXPECT_THAT([&full] { SquashfsWriter(full.get(), "app.gvmi", {}); },
                ThrowsMessage<base::Error>("cannot write app.gvmi: No space left on device"));
}

TEST(SquashfsWriter, RefusesWhatLinuxDoesNotHave) {
    const File file;
    SquashfsWriter writer(file.fd.get(), "test", {});
    const Inode inode{.mode = S_IFCHR, .number = 1};
    EXPECT_THROW(writer.write_device(inode, 4096, 0), base::Error);
    EXPECT_THROW(writer.write_device(inode, 0, 1 << 20), base::Error);
    EXPECT_THROW(writer.write_symlink(inode, ""), base::Error);
    EXPECT_THROW(writer.write_symlink(inode, std::string(4096, 'x')), base::Error);
    const std::string name(256, 'x');
    const Entries entries = {{name, writer.write_ipc({.mode = S_IFIFO, .number = 1})}};
    EXPECT_THROW(writer.write_directory({.mode = S_IFDIR, .number = 2}, 3, entries), base::Error);
}

TEST(Attributes, KnowsWhatSquashfsHolds) {
    EXPECT_TRUE(gvmi::holds_attribute("user.x"));
    EXPECT_TRUE(gvmi::holds_attribute("security.capability"));
    EXPECT_TRUE(gvmi::holds_attribute("trusted.x"));
    EXPECT_FALSE(gvmi::holds_attribute("system.posix_acl_access"));
    EXPECT_FALSE(gvmi::holds_attribute("user."));
    EXPECT_FALSE(gvmi::holds_attribute(""));
    EXPECT_FALSE(gvmi::holds_attribute("user." + std::string(251, 'x')));
}

}  // namespace
