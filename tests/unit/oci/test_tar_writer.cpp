#include "oci/tar_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "oci/tar.h"
#include "tar_builder.h"

namespace {

using oci::TarEntry;
using testing::ElementsAre;
using testing::Pair;

oci::TarWriter::Sink into(std::string& tar) {
    return [&tar](std::span<const std::byte> bytes) { tar.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); };
}

TarEntry entry_of(TarEntry::Type type, const std::string& path, uint64_t size = 0) {
    TarEntry entry;
    entry.type = type;
    entry.path = path;
    entry.size = size;
    return entry;
}

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
}

TEST(TarWriter, WritesWhatTheReaderReads) {
    std::string tar;
    oci::TarWriter writer(into(tar));
    const std::string name = std::string(300, 'n') + "/\xff\n";
    TarEntry folder = entry_of(TarEntry::Type::directory, "d");
    folder.permissions = 01777;
    folder.uid = 3'000'000'000;
    folder.mtime = -5;
    writer.add(folder);
    TarEntry file = entry_of(TarEntry::Type::file, name, 10);
    file.attributes = {{"user.a", std::string("\0b", 2)}};
    writer.add(file);
    writer.write(bytes_of("hello"));
    TarEntry link = entry_of(TarEntry::Type::symlink, "s");
    link.target = "żółw";
    writer.add(link);
    link = entry_of(TarEntry::Type::hard_link, "h");
    link.target = name;
    writer.add(link);
    TarEntry device = entry_of(TarEntry::Type::character_device, "c");
    device.major = 5;
    device.minor = 1;
    writer.add(device);
    writer.finish();
    EXPECT_EQ(tar.find("LIBARCHIVE"), std::string::npos);

    oci::TarReader reader(test::stream_of(tar));
    TarEntry entry;
    ASSERT_TRUE(reader.next(entry));
    EXPECT_EQ(entry.type, TarEntry::Type::directory);
    EXPECT_EQ(entry.permissions, 01777u);
    EXPECT_EQ(entry.uid, 3'000'000'000u);
    EXPECT_EQ(entry.mtime, -5);
    ASSERT_TRUE(reader.next(entry));
    EXPECT_EQ(entry.path, name);
    EXPECT_THAT(entry.attributes, ElementsAre(Pair("user.a", std::string("\0b", 2))));
    const auto data = reader.read();
    ASSERT_TRUE(data);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(data->bytes.data()), data->bytes.size()), std::string("hello\0\0\0\0\0", 10));
    ASSERT_TRUE(reader.next(entry));
    EXPECT_EQ(entry.target, "żółw");
    ASSERT_TRUE(reader.next(entry));
    EXPECT_EQ(entry.target, name);
    ASSERT_TRUE(reader.next(entry));
    EXPECT_EQ(entry.major, 5u);
    EXPECT_EQ(entry.minor, 1u);
    EXPECT_FALSE(reader.next(entry));
}

TEST(TarWriter, TakesNoMoreDataThanTheHeaderSays) {
    std::string tar;
    oci::TarWriter writer(into(tar));
    writer.add(entry_of(TarEntry::Type::file, "f", 3));
    EXPECT_THROW(writer.write(bytes_of("1234")), base::Error);
}

TEST(TarWriter, PassesTheSinksErrorOn) {
    oci::TarWriter writer([](std::span<const std::byte>) { throw base::Error("no room"); });
    const auto write = [&writer] {
        writer.add(entry_of(TarEntry::Type::file, "f", 1 << 20));
        writer.write_zeros(1 << 20);
    };
    EXPECT_THAT(write, testing::ThrowsMessage<base::Error>("no room"));
}

}  // namespace
