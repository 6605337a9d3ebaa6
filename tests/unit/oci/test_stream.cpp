#include "oci/stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/error.h"
#include "tar_builder.h"

namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

const std::string kText = [] {
    std::string text;
    for (int i = 0; i < 100000; i++)
        text += std::to_string(i) + "\n";
    return text;
}();

std::string all(oci::StreamPtr stream) {
    return oci::read_all(*stream, size_t{1} << 30);
}

// Behind what it skips a file is read in smaller pieces, which grow again.
TEST(Stream, AFileIsWholeAroundWhatItSkips) {
    const auto fd = std::make_shared<base::UniqueFd>(::memfd_create("text", 0));
    std::string text;
    while (text.size() < 3'000'000)
        text += kText;
    base::write_all(fd->get(), text, "text");
    const oci::StreamPtr stream = oci::read_file(fd, "text");
    size_t position = 0;
    const auto read = [&] {
        const auto bytes = stream->next();
        EXPECT_EQ(text.substr(position, bytes.size()), std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
        position += bytes.size();
        return bytes.size();
    };
    const size_t whole = read();
    EXPECT_EQ(stream->skip(1'000'000), 1'000'000);
    position += 1'000'000;
    const size_t behind = read();
    EXPECT_LT(behind, whole / 10);
    EXPECT_EQ(read(), 2 * behind);
    while (read() > 0) {
    }
    EXPECT_EQ(position, text.size());
    EXPECT_EQ(stream->skip(1), 0);
}

TEST(Stream, DecompressesWhatIsCompressed) {
    for (const char* program : {"gzip", "zstd", "xz", "bzip2", "cat"}) {
        const std::string packed = std::string(program) == "cat" ? kText : test::compress(program, kText);
        EXPECT_EQ(all(oci::decompress(test::stream_of(packed))), kText) << program;
    }
    EXPECT_EQ(all(oci::decompress(test::stream_of(""))), "");
    EXPECT_EQ(all(oci::decompress(test::stream_of(test::compress("gzip", "")))), "");
}

TEST(Stream, DecompressesConcatenatedParts) {
    const std::string packed = test::compress("gzip", kText) + test::compress("gzip", kText);
    EXPECT_EQ(all(oci::decompress(test::stream_of(packed))), kText + kText);
    const std::string frames = test::compress("zstd", kText) + test::compress("zstd", kText);
    EXPECT_EQ(all(oci::decompress(test::stream_of(frames))), kText + kText);
}

// A changed byte inside is the digests' business: libarchive leaves gzip's CRC alone.
// What pzstd writes begins with one; any number may come anywhere between frames.
TEST(Stream, SkipsZstdsSkippableFrames) {
    const auto skippable = [](char kind, uint32_t size) {
        std::string frame = std::string(1, kind) + "\x2a\x4d\x18";
        for (int shift = 0; shift < 32; shift += 8)
            frame += static_cast<char>(size >> shift);
        return frame + std::string(size, '\x28');
    };
    const std::string zstd = test::compress("zstd", kText);
    const auto plain = [](const std::string& bytes, size_t piece) {
        return oci::read_all(*oci::decompress(test::stream_of(bytes, piece)), size_t{8} << 20);
    };
    for (const size_t piece : {5, 4096}) {
        EXPECT_EQ(plain(skippable('\x50', 4) + zstd, piece), kText);
        std::string two_frames = skippable('\x5f', 0);
        two_frames += skippable('\x51', 10'000);
        two_frames += zstd;
        two_frames += skippable('\x50', 4);
        two_frames += zstd;
        EXPECT_EQ(plain(two_frames, piece), kText + kText);
    }
    EXPECT_THROW(plain(skippable('\x50', 4).substr(0, 10), 4096), base::Error);
}

// A few bytes can unpack to any number.
TEST(Stream, BoundsWhatIsUnpacked) {
    const std::string packed = test::compress("bzip2", std::string(size_t{4} << 20, '\0'));
    EXPECT_LT(packed.size(), 1000U);
    EXPECT_NO_THROW(oci::drain(*oci::decompress(test::stream_of(packed), size_t{4} << 20)));
    EXPECT_THAT([&] { oci::drain(*oci::decompress(test::stream_of(packed), (size_t{4} << 20) - 1)); },
                testing::ThrowsMessage<base::Error>(testing::HasSubstr("it unpacks to more than 4.0 MiB (--limit-gib)")));
    EXPECT_NO_THROW(oci::drain(*oci::decompress(test::stream_of(std::string(100, 'x')), 10))) << "what is not compressed has its own size";
}

TEST(Stream, RefusesTruncatedCompression) {
    for (const char* program : {"gzip", "zstd", "xz", "bzip2"}) {
        const std::string packed = test::compress(program, kText);
        EXPECT_THROW(all(oci::decompress(test::stream_of(packed.substr(0, packed.size() / 2)))), base::Error) << program;
    }
}

TEST(Stream, ChecksTheDigestAtTheEnd) {
    EXPECT_EQ(all(oci::check_sha256(test::stream_of(kText), test::sha256(kText), "it")), kText);
    EXPECT_THAT([] { all(oci::check_sha256(test::stream_of(kText + "x"), test::sha256(kText), "its blob")); },
                ThrowsMessage<base::Error>(HasSubstr("its blob has the SHA-256 ")));
}

// gzip stops at its own end; what follows is hashed nevertheless.
TEST(Stream, ChecksWhatStandsBehindCompressedData) {
    const std::string packed = test::compress("gzip", kText) + std::string(100000, 'x');
    EXPECT_NO_THROW(all(oci::decompress(oci::check_sha256(test::stream_of(packed), test::sha256(packed), "it"))));
    EXPECT_THROW(all(oci::decompress(oci::check_sha256(test::stream_of(packed + "y"), test::sha256(packed), "it"))), base::Error);
}

TEST(Stream, BoundsWhatIsReadWhole) {
    const oci::StreamPtr stream = test::stream_of("12345");
    EXPECT_THAT([&stream] { oci::read_all(*stream, 4); }, ThrowsMessage<base::Error>("it is longer than 4 bytes"));
}

TEST(Stream, TemporaryFileHasNoName) {
    const base::UniqueFd fd = oci::unnamed_file();
    struct stat status {};
    ASSERT_EQ(::fstat(fd.get(), &status), 0);
    EXPECT_EQ(status.st_nlink, 0u);
}

}  // namespace
