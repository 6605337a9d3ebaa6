#include "gvmi/image.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/fd.h"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

std::string number(uint64_t value, size_t bytes) {
    std::string text;
    for (size_t i = 0; i < bytes; i++)
        text.push_back(static_cast<char>(value >> (8 * i) & 0xff));
    return text;
}

// A superblock that claims `length` bytes, followed by zeros up to `size`.
std::string squashfs(uint64_t length, size_t size = 4096) {
    std::string image = "hsqs" + std::string(24, '\0') + number(4, 2) + number(0, 2) + std::string(8, '\0') + number(length, 8);
    image.resize(size);
    return image;
}

base::UniqueFd file_with(const std::string& content) {
    base::UniqueFd fd(::memfd_create("image", MFD_CLOEXEC));
    base::write_all(fd.get(), content, "image");
    return fd;
}

gvmi::Image read(const std::string& content) {
    const base::UniqueFd fd = file_with(content);
    return gvmi::read_image(fd.get(), "app.gvmi");
}

void expect_refused(const std::string& content, const char* reason) {
    EXPECT_THAT([&content] { read(content); },
                ThrowsMessage<base::Error>(AllOf(StartsWith("app.gvmi: not a .gvmi image: "), HasSubstr(reason))));
}

const nlohmann::json kConfig = {{"Cmd", {"/bin/sh"}}, {"Unknown", {{"Key", nullptr}}}};

TEST(Image, RoundTrip) {
    const gvmi::Image image = read(squashfs(1000) + gvmi::make_trailer(kConfig));
    EXPECT_EQ(image.squashfs_bytes, 1000u);
    EXPECT_EQ(image.trailer_offset, 4096u);
    EXPECT_EQ(image.config.json, kConfig);
}

// Written by hand from the specification, so that reader and writer cannot agree on a mistake.
const std::string kEmptyTrailer = "\x43\xbf\xa6\xa3{}00000002";

TEST(Image, TrailerIsTheOneOfTheSpecification) {
    EXPECT_EQ(gvmi::make_trailer(nlohmann::json::object()), kEmptyTrailer);
    EXPECT_EQ(read(squashfs(4096) + kEmptyTrailer).config.json, nlohmann::json::object());
}

TEST(Image, RefusesAFileShorterThanTheTrailer) {
    expect_refused("", "it is too short (0 bytes)");
    expect_refused("{}00000002", "it is too short (10 bytes)");
}

TEST(Image, RefusesALengthThatIsNotDigits) {
    const std::string image = squashfs(4096) + kEmptyTrailer.substr(0, 6);
    expect_refused(image + "0000000x", "not the 8 digits");
    expect_refused(image + "+0000002", "not the 8 digits");
    expect_refused(image + "       2", "not the 8 digits");
}

TEST(Image, RefusesALengthThatPointsBeforeTheSquashfsEnd) {
    expect_refused(squashfs(4096) + number(0, 4) + "{}99999999", "points before the start of the file");
    expect_refused(squashfs(4096) + number(0, 4) + "{}00000003", "points before the end of the squashfs");
}

TEST(Image, RefusesAHugeConfiguration) {
    std::string image = squashfs(96);
    image.resize(17 << 20);
    expect_refused(image + "01048577", "longer than 1 MiB");
}

TEST(Image, RefusesADamagedConfiguration) {
    std::string image = squashfs(4096) + gvmi::make_trailer(kConfig);
    image[4096 + 10] ^= 1;
    expect_refused(image, "CRC does not match");
}

TEST(Image, RefusesAConfigurationThatIsNoObject) {
    expect_refused(squashfs(4096) + gvmi::make_trailer(nlohmann::json::array()), "not a JSON object");
    expect_refused(squashfs(4096) + number(0, 4) + "00000000", "not JSON");
}

TEST(Image, RefusesAFieldOfTheWrongType) {
    expect_refused(squashfs(4096) + gvmi::make_trailer({{"Env", "A=1"}}), "Env is not a list of texts");
}

TEST(Image, RefusesAVolumeOutside) {
    expect_refused(squashfs(4096) + gvmi::make_trailer({{"Volumes", {{"/a/..", nlohmann::json::object()}}}}), "has \"..\" in it");
    expect_refused(squashfs(4096) + gvmi::make_trailer({{"Volumes", {{"a", nlohmann::json::object()}}}}), "is not absolute");
}

TEST(Image, RefusesAMissingSquashfs) {
    expect_refused(std::string(4096, '\0') + gvmi::make_trailer(kConfig), "does not start with a squashfs");
    expect_refused(gvmi::make_trailer(kConfig), "does not start with a squashfs");
    std::string old = squashfs(4096);
    old[28] = 3;
    expect_refused(old + gvmi::make_trailer(kConfig), "has version 3.0, not 4.0");
}

TEST(Image, RefusesASquashfsLongerThanTheFile) {
    expect_refused(squashfs(1 << 20) + gvmi::make_trailer(kConfig), "claims to be longer (1048576 bytes) than the file");
    expect_refused(squashfs(~uint64_t{0}) + gvmi::make_trailer(kConfig), "claims to be longer");
    expect_refused(squashfs(95) + gvmi::make_trailer(kConfig), "shorter than its own superblock");
}

TEST(Image, RefusesWhatIsNotAFile) {
    EXPECT_THAT([] { gvmi::read_image("/dev"); }, ThrowsMessage<base::Error>(StartsWith("/dev: not a .gvmi image: it is not a file")));
    const std::string fifo = testing::TempDir() + "fifo." + std::to_string(::getpid());
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_THROW(gvmi::read_image(fifo), base::Error);
    ::unlink(fifo.c_str());
    EXPECT_THAT([] { gvmi::read_image("/nowhere"); }, ThrowsMessage<base::Error>(HasSubstr("/nowhere: No such file")));
}

}  // namespace
