#include "gvmi/thin_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/hash.h"

namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

std::string little(uint64_t value, size_t bytes) {
    std::string text;
    for (size_t i = 0; i < bytes; i++)
        text.push_back(static_cast<char>(value >> (8 * i) & 0xff));
    return text;
}

// The smallest squashfs that read_image takes, padded.
std::string stub() {
    std::string image = "hsqs" + std::string(24, '\0') + little(4, 2) + little(0, 2) + std::string(8, '\0') + little(96, 8);
    image.resize(4096);
    return image;
}

gvmi::ThinTable small_table() {
    gvmi::ThinTable table;
    table.size = 2 * gvmi::kThinBlock + 1;
    table.sha3 = "00112233445566778899aabbccddeeff00112233445566778899aabb";
    table.urls = {"https://a.example/x.gvmi", "http://b.example:8080/y"};
    table.hashes.resize(3);
    for (size_t i = 0; i < 3; i++)
        table.hashes[i].fill(static_cast<std::byte>(i + 1));
    table.first_reads = {2, 0};
    return table;
}

std::optional<gvmi::ThinTable> read(const std::string& part) {
    const base::UniqueFd fd(::memfd_create("image", MFD_CLOEXEC));
    base::write_all(fd.get(), stub() + part + gvmi::make_trailer({{"Cmd", {"/bin/sh"}}}), "image");
    return gvmi::read_thin_table(fd.get(), gvmi::read_image(fd.get(), "app.gvmi"), "app.gvmi");
}

void expect_refused(const std::string& part, const char* reason) {
    EXPECT_THAT([&part] { (void)read(part); },
                ThrowsMessage<base::Error>(AllOf(StartsWith("app.gvmi: a damaged thin image: "), HasSubstr(reason))));
}

// A part with this table, a right CRC and a right length.
std::string part_of(const std::string& table) {
    return table + "GVMITHIN" + little(1, 4) + little(base::crc32(std::as_bytes(std::span(table))), 4) + little(table.size(), 8);
}

// Written by hand from docs/spec/thin.md, so that reader and writer cannot agree on a mistake.
std::string table_by_hand(uint64_t size, uint32_t urls, const std::vector<uint32_t>& reads) {
    std::string hash;
    for (int i = 0; i < 28; i++)
        hash.push_back(static_cast<char>((i % 16) * 0x11));
    std::string table = little(size, 8) + hash + little(urls, 4) + little(reads.size(), 4);
    for (char i = 1; i <= 3; i++)
        table += std::string(32, i);
    for (const uint32_t block : reads)
        table += little(block, 4);
    return table;
}

std::string url(const std::string& text) {
    return little(text.size(), 2) + text;
}

constexpr uint64_t kSize = 2 * 262144 + 1;

TEST(ThinTable, IsWrittenAsSpecified) {
    const std::string urls = url("https://a.example/x.gvmi") + url("http://b.example:8080/y");
    EXPECT_EQ(gvmi::make_thin_part(small_table()), part_of(table_by_hand(kSize, 2, {2, 0}) + urls));
}

TEST(ThinTable, IsReadAgain) {
    const auto table = read(gvmi::make_thin_part(small_table()));
    ASSERT_TRUE(table);
    EXPECT_EQ(table->size, kSize);
    EXPECT_EQ(table->sha3, small_table().sha3);
    EXPECT_EQ(table->urls, small_table().urls);
    EXPECT_EQ(table->hashes, small_table().hashes);
    EXPECT_THAT(table->first_reads, ElementsAre(2, 0));
    EXPECT_EQ(table->block_bytes(1), 262144u);
    EXPECT_EQ(table->block_bytes(2), 1u);
}

TEST(ThinTable, IsNotInAnOrdinaryImage) {
    EXPECT_FALSE(read(""));
    EXPECT_FALSE(read(std::string(4096, '\0')));
}

TEST(ThinTable, RefusesADamagedFooter) {
    const std::string table = table_by_hand(kSize, 1, {}) + url("http://a/");
    std::string part = part_of(table);
    part[part.size() - 16] = 2;
    expect_refused(part, "its format has version 2, not 1");
    part = part_of(table);
    part[0] ^= 1;
    expect_refused(part, "CRC of its table does not match");
    part = part_of(table);
    part[part.size() - 8] ^= 1;
    expect_refused(part, "CRC of its table does not match");
    part[part.size() - 1] = 1;
    expect_refused(part, "claims to have");
}

TEST(ThinTable, RefusesWhatDoesNotFit) {
    const std::string one = url("http://a/");
    expect_refused(part_of(table_by_hand(kSize, 1, {})), "ends early");
    expect_refused(part_of(table_by_hand(kSize, 1, {}) + one + "x"), "longer than what is in it");
    expect_refused(part_of(table_by_hand(kSize, 0, {})), "0 URLs");
    expect_refused(part_of(table_by_hand(kSize, 17, {})), "17 URLs");
    expect_refused(part_of(table_by_hand(uint64_t{1} << 50, 1, {}) + one), "claims 1125899906842624 bytes");
    expect_refused(part_of(table_by_hand(0, 1, {}) + one), "");
    expect_refused(part_of(table_by_hand(kSize, 1, {3}) + one), "beyond the end");
    expect_refused(part_of(table_by_hand(kSize, 1, {1, 1}) + one), "a block twice");
    expect_refused(part_of(table_by_hand(kSize, 1, {0, 1, 2, 0}) + one), "4 recorded reads");
}

TEST(ThinTable, RefusesUrlsThatAreNotHttp) {
    for (const char* text : {"file:///etc/passwd", "ftp://a/", "", "http://a/\x01", "http://a b/"})
        expect_refused(part_of(table_by_hand(kSize, 1, {}) + url(text)), "one of its URLs");
    expect_refused(part_of(table_by_hand(kSize, 1, {}) + url("http://" + std::string(2048, 'a'))), "one of its URLs");
    gvmi::ThinTable table = small_table();
    table.urls = {"gopher://a/"};
    EXPECT_THAT([&table] { (void)gvmi::make_thin_part(table); }, ThrowsMessage<base::Error>(HasSubstr("one of its URLs")));
}

}  // namespace
