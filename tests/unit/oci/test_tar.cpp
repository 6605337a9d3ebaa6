#include "oci/tar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tar_builder.h"

namespace {

using oci::TarEntry;

using testing::HasSubstr;
using testing::Pair;
using testing::ThrowsMessage;

struct Whole {
    TarEntry entry;
    std::string content;
};

std::vector<Whole> read(const std::string& tar, size_t piece = 4096) {
    oci::TarReader reader(test::stream_of(tar, piece));
    std::vector<Whole> result;
    TarEntry entry;
    while (reader.next(entry)) {
        Whole whole{entry, std::string(entry.size, '\0')};
        while (const auto data = reader.read()) {
            whole.content.replace(data->offset, data->bytes.size(), reinterpret_cast<const char*>(data->bytes.data()), data->bytes.size());
        }
        result.push_back(std::move(whole));
    }
    reader.drain();
    return result;
}

TEST(Tar, ReadsEveryType) {
    const std::string tar = test::make_tar({
        {.path = "d/", .type = '5', .mode = 01777, .uid = 1000, .gid = 100, .mtime = 12345},
        {.path = "d/f", .content = "hello", .mode = 04755},
        {.path = "h", .type = '1', .target = "d/f"},
        {.path = "s", .type = '2', .target = "../x"},
        {.path = "c", .type = '3', .major = 5, .minor = 1},
        {.path = "b", .type = '4', .major = 259, .minor = 70000},
        {.path = "p", .type = '6'},
    });
    for (const size_t piece : {1, 512, 4096}) {
        const auto all = read(tar, piece);
        ASSERT_EQ(all.size(), 7u);
        EXPECT_EQ(all[0].entry.type, TarEntry::Type::directory);
        EXPECT_EQ(all[0].entry.permissions, 01777u);
        EXPECT_EQ(all[0].entry.uid, 1000u);
        EXPECT_EQ(all[0].entry.gid, 100u);
        EXPECT_EQ(all[0].entry.mtime, 12345);
        EXPECT_EQ(all[1].entry.type, TarEntry::Type::file);
        EXPECT_EQ(all[1].entry.permissions, 04755u);
        EXPECT_EQ(all[1].content, "hello");
        EXPECT_EQ(all[2].entry.type, TarEntry::Type::hard_link);
        EXPECT_EQ(all[2].entry.target, "d/f");
        EXPECT_EQ(all[3].entry.type, TarEntry::Type::symlink);
        EXPECT_EQ(all[3].entry.target, "../x");
        EXPECT_EQ(all[4].entry.type, TarEntry::Type::character_device);
        EXPECT_EQ(all[5].entry.type, TarEntry::Type::block_device);
        EXPECT_EQ(all[5].entry.major, 259u);
        EXPECT_EQ(all[5].entry.minor, 70000u);
        EXPECT_EQ(all[6].entry.type, TarEntry::Type::fifo);
    }
}

// Names are bytes: Latin-1, both ways to write é, a newline; in ustar and in PAX headers.
TEST(Tar, KeepsNamesByteForByte) {
    const std::string names[] = {"\xe9", "\xc3\xa9", "e\xcc\x81", "a\nb", std::string(150, '\xff'), std::string(120, 'x') + "\xc3\xa9"};
    for (const std::string& name : names) {
        const auto all = read(test::make_tar({{.path = name, .pax = {{"path", name}}},
                                              {.path = name.substr(0, 100)},
                                              {.path = "l", .type = '2', .target = name, .pax = {{"linkpath", name}}},
                                              {.path = "h", .type = '1', .target = name, .pax = {{"linkpath", name}}}}));
        ASSERT_EQ(all.size(), 4u);
        EXPECT_EQ(all[0].entry.path, name);
        EXPECT_EQ(all[1].entry.path, name.substr(0, 100));
        EXPECT_EQ(all[2].entry.target, name);
        EXPECT_EQ(all[3].entry.target, name);
    }
}

TEST(Tar, ReadsPaxRecords) {
    const auto all = read(test::make_tar({{.path = "f",
                                           .pax = {{"uid", "4000000000"},
                                                   {"mtime", "-1.5"},
                                                   {"SCHILY.xattr.user.\xe9", std::string("a\0\n\xff", 4)},
                                                   {"SCHILY.xattr.security.capability", "cap"},
                                                   {"SCHILY.xattr.user.empty", ""},  // as engines read it, there is none
                                                   {"SCHILY.acl.access", "user::rwx,group::r-x,other::r-x,user:1000:rwx,mask::rwx"}}}}));
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].entry.uid, 4000000000u);
    EXPECT_LT(all[0].entry.mtime, 0);
    EXPECT_THAT(all[0].entry.attributes,
                testing::UnorderedElementsAre(Pair("user.\xe9", std::string("a\0\n\xff", 4)), Pair("security.capability", "cap")));
    EXPECT_TRUE(all[0].entry.has_acl);
}

TEST(Tar, ReadsSparseFiles) {
    const std::string map = "2\n1000\n4\n9000\n3\n";
    const auto all = read(test::make_tar(
        {{.path = "GNUSparseFile.0/f",
          .content = map + std::string(512 - map.size(), '\0') + "dataend",
          .pax = {{"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.name", "f"}, {"GNU.sparse.realsize", "10000"}}},
         {.path = "next"}}));
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].entry.path, "f");
    std::string expected(10000, '\0');
    expected.replace(1000, 4, "data");
    expected.replace(9000, 3, "end");
    EXPECT_EQ(all[0].content, expected);
    EXPECT_EQ(all[1].entry.path, "next");
}

TEST(Tar, RefusesSparseMapsThatLieAboutTheSize) {
    for (const char* map : {"1\n9998\n4\n", "2\n100\n4\n50\n4\n", "1\n99999999999999999999\n4\n", "1\n-5\n4\n", "1\n20000\n4\n"}) {
        const std::string text = map;
        const std::string tar = test::make_tar(
            {{.path = "f",
              .content = text + std::string(512 - text.size(), '\0') + "datadata",
              .pax = {{"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.name", "f"}, {"GNU.sparse.realsize", "10000"}}}});
        try {
            const auto all = read(tar);
            EXPECT_EQ(all.at(0).content.size(), 10000u);
        } catch (const base::Error&) {
            // either is right, so long as nothing lies outside of the file
        }
    }
}

TEST(Tar, EndsAtTheEndMarkOrTheEnd) {
    EXPECT_EQ(read(std::string(1024, '\0')).size(), 0u);
    EXPECT_EQ(read("").size(), 0u);
    EXPECT_EQ(read(test::make_tar({{.path = "f", .content = "x"}}, false)).size(), 1u);
}

TEST(Tar, RefusesDamage) {
    const std::string tar = test::make_tar({{.path = "a", .content = std::string(5000, 'x')}, {.path = "b"}});
    EXPECT_THAT([&tar] { read(tar.substr(0, 3000)); }, ThrowsMessage<base::Error>(HasSubstr("Truncated")));
    EXPECT_THAT([&tar] { read(tar.substr(0, 300)); }, ThrowsMessage<base::Error>(HasSubstr("not a tar")));
    oci::TarReader reader(test::stream_of(tar.substr(0, 3000)));
    TarEntry entry;
    ASSERT_TRUE(reader.next(entry));
    EXPECT_THAT([&] { reader.next(entry); }, ThrowsMessage<base::Error>(HasSubstr("bad tar behind the header at offset 0: ")));
    std::string broken = tar;
    broken[512 + 5120 + 3] ^= 1;
    EXPECT_THAT([&broken] { read(broken); }, ThrowsMessage<base::Error>(HasSubstr("bad tar header at offset 5632: ")));
    EXPECT_THAT([] { read(std::string(5000, 'x')); }, ThrowsMessage<base::Error>(HasSubstr("not a tar")));
}

class Failing : public oci::Stream {
public:
    std::span<const std::byte> next() override {
        if (std::exchange(failed_, true)) throw base::Error("the disk is gone");
        return std::as_bytes(std::span(start_));
    }

private:
    std::string start_ = test::make_tar({{.path = "a", .content = std::string(5000, 'x')}}).substr(0, 2000);
    bool failed_ = false;
};

TEST(Tar, HandsOnTheStreamsErrors) {
    oci::TarReader reader(std::make_unique<Failing>());
    TarEntry entry;
    ASSERT_TRUE(reader.next(entry));
    EXPECT_THAT([&] { reader.next(entry); }, ThrowsMessage<base::Error>("the disk is gone"));
}

// As chown(2) takes them from an engine; -1 changes nothing, so root stays.
TEST(Tar, TakesOwnersOutOfRange) {
    const auto owner = [](const std::string& number) {
        oci::TarReader reader(test::stream_of(test::make_tar({{.path = "f", .pax = {{"uid", number}, {"gid", number}}}})));
        TarEntry entry;
        EXPECT_TRUE(reader.next(entry));
        EXPECT_EQ(entry.uid, entry.gid);
        return entry.uid;
    };
    EXPECT_EQ(owner("-2"), 4294967294U);
    EXPECT_EQ(owner("-1"), 0U);
    EXPECT_EQ(owner("4294967294"), 4294967294U);
    EXPECT_EQ(owner("4294967295"), 0U);
    EXPECT_EQ(owner("4294967301"), 5U);
}

TEST(Tar, TakesDeviceNumbersAsMknodDoes) {
    oci::TarReader reader(test::stream_of(test::make_tar({{.path = "d", .type = '3', .major = 0x11234, .minor = 0x7}})));
    TarEntry entry;
    ASSERT_TRUE(reader.next(entry));
    EXPECT_EQ(entry.major, 0x234U);
    EXPECT_EQ(entry.minor, 7U);
}

// A PAX header or a long name that belongs to no entry ends an archive in Go, and so in Docker.
TEST(Tar, EndsAtAHeaderThatBelongsToNothing) {
    for (const bool end_mark : {true, false}) {
        for (const char type : {'x', 'L'}) {
            oci::TarReader reader(test::stream_of(test::make_tar(
                {{.path = "f"}, {.path = "meta", .type = type, .content = type == 'x' ? "11 mtime=5\n" : "name"}}, end_mark)));
            TarEntry entry;
            EXPECT_TRUE(reader.next(entry)) << type;
            EXPECT_EQ(entry.path, "f");
            EXPECT_FALSE(reader.next(entry)) << type << end_mark;
        }
    }
}

TEST(Tar, RefusesNumbersThatAreNone) {
    EXPECT_THROW(read(test::make_tar({{.path = "f", .size = std::string(12, '\xff')}})), base::Error);  // base 256: -1
    EXPECT_THROW(read(test::make_tar({{.path = "f", .pax = {{"size", "-5"}}}})), base::Error);
    // A second PAX header of one entry, which programs understand differently.
    EXPECT_THROW(read(test::make_tar({{.path = "x", .type = 'x', .content = "10 uid=12\n"}, {.path = "f", .pax = {{"gid", "5"}}}})),
                 base::Error);
}

TEST(Tar, RefusesMalformedPaxHeaders) {
    for (const char* records : {"garbage", "5 a=b\n", "999999999 path=x\n", "-3 a=b\n", "0 a=b\n", " a=b\n"}) {
        const std::string tar = test::make_tar({{.path = "pax", .type = 'x', .content = records}, {.path = "f"}});
        EXPECT_THROW(read(tar), base::Error) << records;
    }
}

}  // namespace
