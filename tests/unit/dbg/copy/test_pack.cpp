#include "dbg/copy/pack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <fstream>
#include <map>

#include "base/error.h"
#include "base/fd.h"
#include "base/temporary_folder.h"
#include "oci/tar.h"
#include "tar_builder.h"

namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

struct Packing {
    dbg::Packed packed;
    std::vector<oci::TarEntry> entries = {};
    std::map<std::string, std::string> contents = {};

    std::vector<std::string> names() const {
        std::vector<std::string> result;
        result.reserve(entries.size());
        for (const oci::TarEntry& entry : entries)
            result.push_back(entry.path);
        return result;
    }
};

Packing pack(const fs::path& source, const std::string& name, bool folder = false, bool owners = false) {
    std::string tar;
    const auto sink = [&tar](std::span<const std::byte> bytes) { tar.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); };
    Packing result{.packed = dbg::pack(source, name, folder, owners, sink)};
    oci::TarReader reader(test::stream_of(tar));
    oci::TarEntry entry;
    while (reader.next(entry)) {
        std::string& content = result.contents[entry.path];
        content.assign(entry.size, '\0');
        while (const auto data = reader.read())
            content.replace(data->offset, data->bytes.size(), reinterpret_cast<const char*>(data->bytes.data()), data->bytes.size());
        result.entries.push_back(entry);
    }
    return result;
}

class Pack : public testing::Test {
protected:
    void write(const std::string& name, const std::string& text) { std::ofstream(folder.path() / name) << text; }
    base::TemporaryFolder folder;
};

TEST_F(Pack, AFileUnderItsNewName) {
    write("with blank", "hello");
    fs::permissions(folder.path() / "with blank", fs::perms(04751));
    const Packing file = pack(folder.path() / "with blank", "żółw x");
    EXPECT_THAT(file.names(), ElementsAre("żółw x"));
    EXPECT_EQ(file.contents.at("żółw x"), "hello");
    EXPECT_EQ(file.entries[0].permissions, 04751u);
    EXPECT_EQ(file.entries[0].uid, 0u);
    EXPECT_EQ(file.packed.bytes, 5u);
}

TEST_F(Pack, AFolderWithLinksHolesAndEmptyOnes) {
    fs::create_directories(folder.path() / "d/empty");
    write("d/first", "12345");
    fs::create_hard_link(folder.path() / "d/first", folder.path() / "d/second");
    fs::create_symlink("/etc/passwd", folder.path() / "d/link");
    write("d/hole", "x");
    fs::resize_file(folder.path() / "d/hole", 100'000);
    const Packing all = pack(folder.path() / "d", "new");
    EXPECT_THAT(all.names(), ElementsAre("new/", "new/empty/", "new/first", "new/hole", "new/link", "new/second"));
    EXPECT_EQ(all.entries[5].type, oci::TarEntry::Type::hard_link);
    EXPECT_EQ(all.entries[5].target, "new/first");
    EXPECT_EQ(all.entries[4].target, "/etc/passwd");
    EXPECT_EQ(all.contents.at("new/hole"), "x" + std::string(99'999, '\0'));
    EXPECT_EQ(all.packed.bytes, 100'005u);
    EXPECT_THAT(pack(folder.path() / "d/empty", ".").names(), ElementsAre("./"));
    EXPECT_THAT(pack(folder.path() / "d/.", ".").names(), ElementsAre("./", "./empty/", "./first", "./hole", "./link", "./second"));
}

TEST_F(Pack, FollowsALinkOnlyToAFolderThatIsAskedFor) {
    fs::create_directory(folder.path() / "d");
    write("d/f", "");
    fs::create_symlink("d", folder.path() / "link");
    EXPECT_EQ(pack(folder.path() / "link", "x").entries.at(0).target, "d");
    EXPECT_THAT(pack(folder.path() / "link", "x", true).names(), ElementsAre("x/", "x/f"));
    EXPECT_THAT([&] { pack(folder.path() / "d/f", "x", true); }, ThrowsMessage<base::Error>(HasSubstr("d/f: Not a directory")));
    EXPECT_THAT([&] { pack(folder.path() / "none", "x"); }, ThrowsMessage<base::Error>(HasSubstr("none: No such file or directory")));
}

TEST_F(Pack, LeavesSocketsOut) {
    fs::create_directory(folder.path() / "d");
    const base::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    (folder.path() / "d/s").native().copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const Packing all = pack(folder.path() / "d", "d");
    EXPECT_THAT(all.names(), ElementsAre("d/"));
    EXPECT_EQ(all.packed.sockets_left_out, 1u);
}

TEST_F(Pack, KeepsOwnersWhereTheyAreAskedFor) {
    write("f", "");
    struct stat status {};
    ASSERT_EQ(::stat((folder.path() / "f").c_str(), &status), 0);
    if (::geteuid() == 0) {
        ASSERT_EQ(::chown((folder.path() / "f").c_str(), status.st_uid = 70000, status.st_gid = 5), 0);
    }
    const Packing kept = pack(folder.path() / "f", "f", false, true);
    EXPECT_EQ(kept.entries.at(0).uid, status.st_uid);
    EXPECT_EQ(kept.entries.at(0).gid, status.st_gid);
}

}  // namespace
