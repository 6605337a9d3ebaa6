#include "gvmi/squashfs_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/fd.h"
#include "base/subprocess.h"
#include "gvmi/diff.h"
#include "gvmi/extract.h"
#include "gvmi/squashfs_tree.h"
#include "gvmi/squashfs_writer.h"
#include "gvmi/verify.h"

namespace {

using gvmi::InodeRef;
using gvmi::SquashfsReader;
using gvmi::SquashfsWriter;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;
using Entries = std::vector<std::pair<std::string_view, InodeRef>>;

base::UniqueFd memory() {
    return base::UniqueFd(::memfd_create("squashfs", MFD_CLOEXEC));
}

// A squashfs of a root with one file of that name and content.
base::UniqueFd with_file(std::string_view name, const std::string& content, const gvmi::Compression& compression = {}) {
    base::UniqueFd fd = memory();
    SquashfsWriter::Options options;
    options.compression = compression;
    SquashfsWriter writer(fd.get(), "test", options);
    const size_t handle = writer.begin_file();
    writer.append(std::as_bytes(std::span(content)));
    writer.end_file();
    const Entries entries = {{name, writer.write_file({.mode = S_IFREG | 0644, .number = 1}, handle)}};
    writer.finish(writer.write_directory({.mode = S_IFDIR | 0755, .links = 2, .number = 2}, 3, entries));
    return fd;
}

// A tree of every type.
base::UniqueFd with_everything() {
    base::UniqueFd fd = memory();
    SquashfsWriter writer(fd.get(), "test", {});
    const size_t data = writer.begin_file();
    writer.append(std::as_bytes(std::span(std::string_view("hello"))));
    writer.append_zeros(300000);
    writer.append(std::as_bytes(std::span(std::string_view("end"))));
    writer.end_file();
    const gvmi::Attributes attributes = {{"user.a", std::string("x\0y", 3)}, {"security.capability", "abc"}};
    const InodeRef file = writer.write_file(
        {.mode = S_IFREG | 04755, .uid = 100000, .gid = 5, .mtime = 86400, .links = 2, .number = 1, .attributes = &attributes}, data);
    const InodeRef link = writer.write_symlink({.mode = S_IFLNK | 0777, .number = 2, .attributes = &attributes}, "dir/again");
    const InodeRef device = writer.write_device({.mode = S_IFBLK | 0660, .number = 3}, 259, 70000);
    const InodeRef fifo = writer.write_ipc({.mode = S_IFIFO | 0600, .number = 4});
    const InodeRef socket = writer.write_ipc({.mode = S_IFSOCK | 0700, .number = 5, .attributes = &attributes});
    const Entries inner = {{"again", file}, {"up", writer.write_symlink({.mode = S_IFLNK | 0777, .number = 6}, "../../file")}};
    const InodeRef folder = writer.write_directory({.mode = S_IFDIR | 01777, .links = 2, .number = 7, .attributes = &attributes}, 8, inner);
    const Entries outer = {{"blk", device}, {"dir", folder}, {"fifo", fifo}, {"file", file}, {"link", link}, {"sock", socket}};
    writer.finish(writer.write_directory({.mode = S_IFDIR | 0755, .links = 3, .number = 8}, 9, outer));
    return fd;
}

std::vector<std::string> paths(SquashfsReader& reader, const gvmi::Limits& limits = {}) {
    std::vector<std::string> result;
    gvmi::walk(reader, limits, {[&result](const std::string& path, const gvmi::File&) { result.push_back(path); }});
    return result;
}

struct Folder {
    std::filesystem::path path;
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "gvmkit-test.XXXXXX").string();
        path = ::mkdtemp(name.data());
    }
    ~Folder() { std::filesystem::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
};

gvmi::Extracted extract(const base::UniqueFd& fd, const std::filesystem::path& folder, bool special = false) {
    SquashfsReader reader(fd.get());
    return gvmi::extract(reader, "/", reader.root(), folder, {}, special);
}

TEST(SquashfsReader, ReadsWhatTheWriterWrote) {
    const base::UniqueFd fd = with_everything();
    SquashfsReader reader(fd.get());
    EXPECT_THAT(paths(reader), ElementsAre("/", "/blk", "/dir", "/dir/again", "/dir/up", "/fifo", "/file", "/link", "/sock"));
    const gvmi::File file = gvmi::find(reader, "file").value();
    EXPECT_EQ(file.mode, mode_t{S_IFREG | 04755});
    EXPECT_EQ(file.uid, 100000u);
    EXPECT_EQ(file.gid, 5u);
    EXPECT_EQ(file.mtime, 86400u);
    EXPECT_EQ(file.links, 2u);
    EXPECT_EQ(file.size, 300008u);
    EXPECT_EQ(gvmi::read_start(reader, file, 1 << 20), "hello" + std::string(300000, '\0') + "end");
    EXPECT_EQ(gvmi::read_start(reader, file, 5), "hello");
    auto attributes = reader.attributes(file);
    std::sort(attributes.begin(), attributes.end());
    EXPECT_EQ(attributes, (gvmi::Attributes{{"security.capability", "abc"}, {"user.a", std::string("x\0y", 3)}}));
    const gvmi::File device = gvmi::find(reader, "/blk").value();
    EXPECT_EQ(device.major, 259u);
    EXPECT_EQ(device.minor, 70000u);
    EXPECT_EQ(gvmi::find(reader, "sock")->mode, mode_t{S_IFSOCK | 0700});
}

TEST(SquashfsReader, FollowsSymbolicLinksInsideTheImage) {
    const base::UniqueFd fd = with_everything();
    SquashfsReader reader(fd.get());
    EXPECT_EQ(gvmi::find(reader, "/link")->number, 1u);
    EXPECT_EQ(gvmi::find(reader, "/link", false)->number, 2u);
    EXPECT_EQ(gvmi::find(reader, "dir/up")->number, 1u);  // ".." at the root stays there
    EXPECT_EQ(gvmi::find(reader, "dir/../../dir/./again")->number, 1u);
    EXPECT_FALSE(gvmi::find(reader, "dir/nothing"));
    EXPECT_FALSE(gvmi::find(reader, "file/below"));
}

TEST(SquashfsReader, ReadsEveryCompressor) {
    std::string content;
    for (int i = 0; content.size() < 500000; i++)
        content += "line " + std::to_string(i) + "\n";
    for (const auto method : {gvmi::Method::gzip, gvmi::Method::lzo, gvmi::Method::xz, gvmi::Method::lz4, gvmi::Method::zstd}) {
        const base::UniqueFd fd = with_file("f", content, {method, gvmi::levels_of(method).standard});
        SquashfsReader reader(fd.get());
        EXPECT_EQ(gvmi::read_start(reader, gvmi::find(reader, "f").value(), 1 << 20), content) << gvmi::name_of(method);
    }
}

TEST(SquashfsReader, RefusesNamesThatLeadOut) {
    for (const std::string name : {"../evil", "..", ".", "a/b"}) {
        const base::UniqueFd fd = with_file(name, "x");
        SquashfsReader reader(fd.get());
        EXPECT_THAT([&] { paths(reader); }, ThrowsMessage<base::Error>(HasSubstr("a file named"))) << name;
    }
}

TEST(SquashfsReader, RefusesTheSameNameTwice) {
    const base::UniqueFd fd = memory();
    SquashfsWriter writer(fd.get(), "test", {});
    const InodeRef link = writer.write_symlink({.mode = S_IFLNK | 0777, .number = 1}, "/tmp");
    const InodeRef folder = writer.write_directory({.mode = S_IFDIR | 0755, .links = 2, .number = 2}, 3, {});
    const Entries entries = {{"a", link}, {"a", folder}};
    writer.finish(writer.write_directory({.mode = S_IFDIR | 0755, .links = 3, .number = 3}, 4, entries));
    SquashfsReader reader(fd.get());
    EXPECT_THAT([&] { paths(reader); }, ThrowsMessage<base::Error>(HasSubstr("not sorted")));
}

TEST(SquashfsReader, RefusesDirectoriesInACircle) {
    const base::UniqueFd fd = memory();
    SquashfsWriter writer(fd.get(), "test", {});
    const Entries itself = {{"d", InodeRef{0, 1, S_IFDIR}}};  // the first inode is at 0
    const InodeRef folder = writer.write_directory({.mode = S_IFDIR | 0755, .links = 2, .number = 1}, 2, itself);
    const Entries entries = {{"d", folder}};
    writer.finish(writer.write_directory({.mode = S_IFDIR | 0755, .links = 3, .number = 2}, 3, entries));
    SquashfsReader reader(fd.get());
    EXPECT_THAT([&] { paths(reader); }, ThrowsMessage<base::Error>(HasSubstr("the inode number of another")));
    EXPECT_THAT([&] { gvmi::diff(reader, reader, {}, [](const auto&) {}); },
                ThrowsMessage<base::Error>(HasSubstr("the inode number of another")));
}

// N directories with one listing of M names would be N * M files in an image of N + M.
TEST(SquashfsReader, RefusesDirectoriesThatShareBytes) {
    const Folder folder;
    for (const std::string name : {"a", "b", "c", "d"}) {
        std::filesystem::create_directories(folder.path / "tree" / name);
        std::ofstream(folder.path / "tree" / name / (name == "a" ? std::string(200, 'x') : "x")) << name;
    }
    const std::string image = folder.path / "image";
    base::run({"mksquashfs", folder.path / "tree", image, "-noI", "-noD", "-noF", "-quiet", "-no-progress"});
    std::string bytes = base::read_file(image, size_t{1} << 20);
    std::vector<size_t> inodes;  // of the folders, by their type, mode and links
    for (size_t at = 96; at + 32 < bytes.size(); at++) {
        if (bytes.substr(at, 4) == std::string("\x01\0\xed\x01", 4) && bytes.substr(at + 20, 4) == std::string("\x02\0\0\0", 4))
            inodes.push_back(at);
    }
    ASSERT_EQ(inodes.size(), 4u);
    const auto read = [&] {
        base::UniqueFd fd = memory();
        base::write_all(fd.get(), std::as_bytes(std::span(bytes)), "image");
        SquashfsReader reader(fd.get());
        paths(reader);
        gvmi::diff(reader, reader, {}, [](const auto&) {});
    };
    EXPECT_NO_THROW(read());
    for (const size_t inode : {inodes[1], inodes[2], inodes[3]})
        bytes.replace(inode + 24, 4, bytes, inodes[0] + 24, 4);  // the size and the offset of the listing
    EXPECT_THAT(read, ThrowsMessage<base::Error>(HasSubstr("damaged squashfs: directories that share bytes")));
}

TEST(SquashfsReader, StopsAtTheLimits) {
    const base::UniqueFd fd = with_everything();
    SquashfsReader reader(fd.get());
    EXPECT_THAT([&] { paths(reader, {.entries = 8}); }, ThrowsMessage<base::Error>(HasSubstr("more than 8 files")));
    EXPECT_NO_THROW(paths(reader, {.entries = 9}));
    constexpr size_t kPaths = 1 + 4 + 4 + 10 + 10 - 3 + 5 + 5 + 5 + 5;  // as listed above, and
    constexpr size_t kTargets = 9 + 10;                                 // dir/again, ../../file
    EXPECT_NO_THROW(paths(reader, {.path_bytes = kPaths + kTargets}));
    EXPECT_THAT([&] { paths(reader, {.path_bytes = kPaths + kTargets - 1}); },
                ThrowsMessage<base::Error>(HasSubstr("of paths and targets of links")));
    EXPECT_THAT([&] { gvmi::verify(reader, {.bytes = 1000}); }, ThrowsMessage<base::Error>(HasSubstr("more data than the limit")));
}

TEST(SquashfsReader, BoundsAllAttributesTogether) {
    const base::UniqueFd fd = memory();
    SquashfsWriter writer(fd.get(), "test", {});
    const gvmi::Attributes attributes = {{"user.a", std::string(60000, 'a')}};
    const InodeRef fifo = writer.write_ipc({.mode = S_IFIFO | 0600, .links = 2000, .number = 1, .attributes = &attributes});
    std::vector<std::string> names;
    for (int i = 1000; i < 3000; i++)
        names.push_back(std::to_string(i));
    Entries entries;
    for (const std::string& name : names)
        entries.emplace_back(name, fifo);
    writer.finish(writer.write_directory({.mode = S_IFDIR | 0755, .links = 2, .number = 2}, 3, entries));
    SquashfsReader reader(fd.get());
    EXPECT_THAT([&] { gvmi::verify(reader, {}); }, ThrowsMessage<base::Error>("\"/2118\": more than 64.0 MiB of extended attributes"));
}

TEST(SquashfsReader, BoundsWhatIsLookedUp) {
    const base::UniqueFd fd = memory();
    SquashfsWriter writer(fd.get(), "test", {});
    const InodeRef fifo = writer.write_ipc({.mode = S_IFIFO | 0600, .links = 100000, .number = 1});
    std::vector<std::string> names;
    for (int i = 100000; i < 200000; i++)
        names.push_back(std::to_string(i) + std::string(240, 'n'));
    Entries entries;
    for (const std::string& name : names)
        entries.emplace_back(name, fifo);
    writer.finish(writer.write_directory({.mode = S_IFDIR | 0755, .links = 2, .number = 2}, 3, entries));
    SquashfsReader reader(fd.get());
    const auto look_up = [&reader](int times) {
        for (int i = 0; i < times; i++)
            EXPECT_TRUE(gvmi::find(reader, std::to_string(100000 + i) + std::string(240, 'n')));
    };
    EXPECT_NO_THROW(look_up(40));
    EXPECT_THAT([&] { look_up(10); }, ThrowsMessage<base::Error>("more than 1.0 GiB of directories to read"));
}

// Whatever a byte is, what is read is refused or read; the sanitizers watch. An image without compression, so that every byte counts.
TEST(SquashfsReader, SurvivesEveryDamagedByte) {
    const Folder folder;
    std::filesystem::create_directories(folder.path / "tree/d/e");
    std::ofstream(folder.path / "tree/d/file") << std::string(5000, 'x');
    std::filesystem::create_symlink("file", folder.path / "tree/d/link");
    const std::string path = (folder.path / "plain.squashfs").string();
    const base::Finished made =
        base::run({"mksquashfs", (folder.path / "tree").string(), path, "-noI", "-noD", "-noF", "-noX", "-no-progress"});
    ASSERT_EQ(made.code, 0) << made.output;
    const std::string good = base::read_file(path, 1 << 20);
    const size_t used = std::min<size_t>(good.size(), 6000);
    int refused = 0;
    for (size_t i = 0; i < used; i++) {
        if (i > 96 && i < 96 + 4900) continue;  // the file's content
        for (const int value : {0, 1, 0x7f, 0xff}) {
            std::string bad = good;
            bad[i] = static_cast<char>(value);
            const base::UniqueFd fd = memory();
            base::write_all(fd.get(), bad, "image");
            try {
                SquashfsReader reader(fd.get());
                gvmi::verify(reader, {.entries = 1000, .bytes = 1 << 20});
            } catch (const base::Error&) {
                refused++;
            }
        }
    }
    EXPECT_GT(refused, 100);
}

TEST(Extract, MakesWhatTheImageHas) {
    const base::UniqueFd fd = with_everything();
    const Folder folder;
    const gvmi::Extracted result = extract(fd, folder.path / "out", true);
    EXPECT_EQ(result.entries, 9u);
    const std::filesystem::path out = folder.path / "out";
    EXPECT_EQ(base::read_file(out / "file", 1 << 20), "hello" + std::string(300000, '\0') + "end");
    EXPECT_EQ(std::filesystem::hard_link_count(out / "file"), 2u);
    EXPECT_EQ(std::filesystem::read_symlink(out / "link"), "dir/again");
    EXPECT_TRUE(std::filesystem::is_socket(out / "sock"));
    struct stat status {};
    ASSERT_EQ(::stat((out / "file").c_str(), &status), 0);
    EXPECT_EQ(status.st_mtime, 86400);
    EXPECT_EQ(status.st_mode & 07777, 04755u);
    EXPECT_LT(status.st_blocks * 512, 200000);  // the hole stays one
    EXPECT_EQ(result.devices_left_out, ::geteuid() == 0 ? 0u : 1u);
}

TEST(Extract, MakesDevicesAndSetIdFilesOnRequestOnly) {
    const base::UniqueFd fd = with_everything();
    const Folder folder;
    const gvmi::Extracted result = extract(fd, folder.path / "out");
    EXPECT_EQ(result.devices_left_out, 1u);
    EXPECT_EQ(result.set_ids_left_out, 1u);
    struct stat status {};
    ASSERT_EQ(::stat((folder.path / "out/file").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0755u);
}

TEST(Extract, WantsAnEmptyFolderOfOurs) {
    const base::UniqueFd fd = with_everything();
    const Folder folder;
    std::ofstream(folder.path / "mine") << "x";
    EXPECT_THAT([&] { extract(fd, folder.path); }, ThrowsMessage<base::Error>(HasSubstr("is not empty")));
    const std::filesystem::path theirs = folder.path / "theirs";
    std::filesystem::create_directory(theirs);
    std::filesystem::create_symlink("theirs", folder.path / "link");
    EXPECT_THROW(extract(fd, folder.path / "link"), base::Error);
    if (::geteuid() != 0) return;
    ASSERT_EQ(::chown(theirs.c_str(), 1000, 1000), 0);
    EXPECT_THAT([&] { extract(fd, theirs); }, ThrowsMessage<base::Error>(HasSubstr("belongs to another user")));
}

// Whoever could get in earlier could swap a file for a link before its owner and mode are set.
TEST(Extract, KeepsOthersOutUntilItIsComplete) {
    const base::UniqueFd fd = with_everything();
    const Folder folder;
    const std::filesystem::path out = folder.path / "out";
    const auto mode = [&out] {
        struct stat status {};
        EXPECT_EQ(::stat(out.c_str(), &status), 0);
        return status.st_mode & 07777;
    };
    SquashfsReader reader(fd.get());
    EXPECT_THROW(gvmi::extract(reader, "/", reader.root(), out, {.bytes = 1}), base::Error);
    EXPECT_EQ(mode(), 0700u);
    std::filesystem::remove_all(out);
    extract(fd, out);
    EXPECT_EQ(mode(), reader.root().mode & 07777u);
    std::filesystem::remove_all(out);
    gvmi::extract(reader, "/file", *gvmi::find(reader, "file"), out, {});
    EXPECT_NE(mode(), 0700u) << "a single file leaves the folder as it was made";
}

// What the file system has at the place of a folder of ours must not be followed: here a link that says it has the inode number of a file.
TEST(Extract, NeverFollowsALink) {
    const Folder folder;
    const Folder outside;
    const base::UniqueFd fd = memory();
    SquashfsWriter writer(fd.get(), "test", {});
    const size_t data = writer.begin_file();
    writer.append(std::as_bytes(std::span(std::string_view("evil"))));
    writer.end_file();
    const InodeRef link = writer.write_symlink({.mode = S_IFLNK | 0777, .links = 2, .number = 1}, outside.path.string());
    const InodeRef file = writer.write_file({.mode = S_IFREG | 0644, .links = 2, .number = 1}, data);
    const Entries entries = {{"a", link}, {"b", file}};
    writer.finish(writer.write_directory({.mode = S_IFDIR | 0755, .links = 2, .number = 3}, 4, entries));
    extract(fd, folder.path / "out");
    EXPECT_TRUE(std::filesystem::is_symlink(folder.path / "out/b"));
    EXPECT_TRUE(std::filesystem::is_empty(outside.path));
}

TEST(Diff, TellsWhatIsDifferent) {
    const base::UniqueFd x = with_file("a", "one");
    const base::UniqueFd y = with_file("a", "two");
    const base::UniqueFd z = with_file("b", "one");
    const auto differences = [](const base::UniqueFd& p, const base::UniqueFd& q) {
        SquashfsReader a(p.get());
        SquashfsReader b(q.get());
        std::string result;
        gvmi::diff(a, b, {}, [&result](const gvmi::Difference& difference) {
            result += "+-*"[static_cast<size_t>(difference.kind)] + difference.path;
            for (const std::string& what : difference.what)
                result += " " + what;
            result += ";";
        });
        return result;
    };
    EXPECT_EQ(differences(x, x), "");
    EXPECT_EQ(differences(x, y), "*/a content;");
    EXPECT_EQ(differences(x, z), "-/a;+/b;");
    EXPECT_EQ(differences(x, with_file("a", "longer")), "*/a size;");
}

}  // namespace
