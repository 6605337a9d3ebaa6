#include "convert/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <filesystem>

#include "base/error.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/subprocess.h"
#include "gvmi/image.h"
#include "squashfs_look.h"
#include "tar_builder.h"

namespace {

using test::Entry;
using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

std::string sha256(const std::string& text) {
    return base::sha256_hex(std::as_bytes(std::span(text)));
}

oci::Image image_of(const std::vector<std::string>& tars) {
    oci::Image image;
    for (const std::string& tar : tars) {
        oci::Layer layer;
        layer.name = std::string("layer ").append(std::to_string(image.layers.size() + 1));
        layer.size = tar.size();
        layer.diff_id = sha256(tar);
        layer.open_blob = [tar] { return test::stream_of(tar); };
        image.layers.push_back(layer);
    }
    return image;
}

struct Converted {
    base::UniqueFd fd{::memfd_create("gvmi", 0)};
    std::string path = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd.get());
    convert::Summary summary;

    std::string content() const { return base::read_file(path, size_t{1} << 30); }
    std::string listing() const { return base::run({"unsquashfs", "-lln", "-UTC", path}).output; }
};

Converted convert(const oci::Image& image, const convert::Options& options = {}) {
    Converted result;
    result.summary = convert::convert(image, {{"Cmd", {"sh"}}}, result.fd.get(), "app.gvmi", options);
    return result;
}

std::string file_in(const Converted& converted, const std::string& name) {
    return base::run({"unsquashfs", "-cat", converted.path, name}).output;
}

TEST(Convert, WritesTreeDataAndTrailer) {
    const std::string large(700000, 'L');
    const Converted converted =
        convert(image_of({test::make_tar({{.path = "d/", .type = '5', .mode = 0750, .uid = 7, .gid = 8, .mtime = 86400},
                                          {.path = "d/gone", .content = std::string(100000, 'g')},
                                          {.path = "d/large", .content = large, .mode = 0600},
                                          {.path = "empty"},
                                          {.path = "old", .content = "old"}}),
                          test::make_tar({{.path = "d/.wh.gone"},
                                          {.path = "old", .content = "new"},
                                          {.path = "hard", .type = '1', .target = "d/large"},
                                          {.path = "link", .type = '2', .target = "d/large"},
                                          {.path = "null", .type = '3', .mode = 0666, .major = 1, .minor = 3},
                                          {.path = "pipe", .type = '6', .mode = 0600}})}));
    const std::string listing = converted.listing();
    EXPECT_THAT(listing, HasSubstr("drwxr-x--- 7/8                      28 1970-01-02 00:00 squashfs-root/d\n"));
    EXPECT_THAT(listing, HasSubstr("crw-rw-rw- 0/0                   1,  3 1970-01-01 00:00 squashfs-root/null\n"));
    EXPECT_THAT(listing, HasSubstr("prw------- 0/0"));
    EXPECT_THAT(listing, HasSubstr("squashfs-root/link -> d/large\n"));
    EXPECT_THAT(listing, testing::Not(HasSubstr("gone")));
    EXPECT_EQ(file_in(converted, "d/large"), large);
    EXPECT_EQ(file_in(converted, "hard"), large);
    EXPECT_EQ(file_in(converted, "old"), "new");
    EXPECT_EQ(file_in(converted, "empty"), "");
    EXPECT_EQ(converted.summary.inodes, 8u);
    EXPECT_EQ(converted.summary.file_bytes, std::filesystem::file_size(converted.path));
    EXPECT_EQ(gvmi::read_image(converted.path).config.cmd, std::vector<std::string>{"sh"});
}

TEST(Convert, CountsLinks) {
    const Converted converted = convert(image_of({test::make_tar({{.path = "a", .content = "x"},
                                                                  {.path = "d/b", .type = '1', .target = "a"},
                                                                  {.path = "d/e/f/", .type = '5'},
                                                                  {.path = "d/g/", .type = '5'},
                                                                  {.path = "s", .type = '2', .target = "x"},
                                                                  {.path = "t", .type = '1', .target = "s"}}),
                                                  test::make_tar({{.path = "c", .type = '1', .target = "a"}, {.path = "d/.wh.b"}})}));
    EXPECT_EQ(test::look(converted.path, "").links, 3u);
    EXPECT_EQ(test::look(converted.path, "d").links, 4u);
    EXPECT_EQ(test::look(converted.path, "d/e").links, 3u);
    EXPECT_EQ(test::look(converted.path, "d/g").links, 2u);
    EXPECT_EQ(test::look(converted.path, "a").links, 2u);
    EXPECT_EQ(test::look(converted.path, "a").number, test::look(converted.path, "c").number);
    EXPECT_EQ(test::look(converted.path, "s").links, 2u);
    EXPECT_EQ(test::look(converted.path, "s").number, test::look(converted.path, "t").number);
}

TEST(Convert, OfNothingIsAnEmptyRoot) {
    EXPECT_EQ(convert(image_of({})).summary.inodes, 1u);
    EXPECT_EQ(convert(image_of({"", std::string(1024, '\0')})).summary.inodes, 1u);
}

TEST(Convert, KeepsHolesAndWhatLiesBetween) {
    const std::string map = "2\n300000\n4\n2000000\n3\n";
    const Converted converted = convert(image_of({test::make_tar(
        {{.path = "GNUSparseFile.0/f",
          .content = map + std::string(512 - map.size(), '\0') + "dataend",
          .pax = {{"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.name", "f"}, {"GNU.sparse.realsize", "3000000"}}}})}));
    std::string expected(3000000, '\0');
    expected.replace(300000, 4, "data");
    expected.replace(2000000, 3, "end");
    EXPECT_EQ(base::run({"sh", "-c", "unsquashfs -cat " + converted.path + " f | sha256sum"}).output, sha256(expected) + "  -\n");
    EXPECT_LT(converted.summary.file_bytes, 5000u);
}

TEST(Convert, CountsClampedTimesAndDroppedAttributes) {
    const Converted converted =
        convert(image_of({test::make_tar({{.path = "old", .pax = {{"mtime", "-100"}}},
                                          {.path = "again", .type = '1', .target = "old"},
                                          {.path = "late", .type = '5', .pax = {{"mtime", "9999999999"}}},
                                          {.path = "x", .pax = {{"SCHILY.xattr.system.posix_acl_access", "a"}}}})}));
    EXPECT_EQ(converted.summary.clamped_times, 2u);
    EXPECT_EQ(converted.summary.dropped_attributes, 1u);
    EXPECT_THAT(converted.listing(), HasSubstr("2106-02-07 06:28 squashfs-root/late"));
}

TEST(Convert, GivesTheSameBytesAtAnyNumberOfWorkers) {
    std::vector<Entry> entries(200);
    for (size_t i = 0; i < entries.size(); i++) {
        entries[i].path = std::to_string(i);
        entries[i].content = std::string(i * 700, static_cast<char>('a' + i % 20)) + std::to_string(i);
    }
    const oci::Image image = image_of({test::make_tar(entries), test::make_tar({{.path = "7", .content = "x"}})});
    const std::string expected = convert(image).content();
    convert::Options options;
    options.workers = 4;
    EXPECT_EQ(convert(image, options).content(), expected);
}

TEST(Convert, TellsItsProgress) {
    const oci::Image image = image_of({test::make_tar({{.path = "f", .content = std::string(100000, 'x')}})});
    uint64_t last = 0;
    uint64_t whole = 0;
    convert::Options options;
    options.progress = [&](uint64_t done, uint64_t total) {
        EXPECT_GE(done, last);
        EXPECT_LE(done, total);
        last = done;
        whole = total;
    };
    convert(image, options);
    EXPECT_EQ(whole, 2 * image.layers[0].size);
    EXPECT_GT(last, whole / 2);
}

TEST(Convert, NamesTheLayerThatIsBroken) {
    const std::string good = test::make_tar({{.path = "f", .content = "x"}});
    std::string bad = good;
    bad[3] ^= 1;
    EXPECT_THAT([&] { convert(image_of({good, bad})); }, ThrowsMessage<base::Error>(StartsWith("layer 2: ")));
    EXPECT_THAT(
        [&] {
            convert(image_of({good, test::make_tar({{.path = "../x"}})}));
        },
        ThrowsMessage<base::Error>("layer 2: \"../x\": it leads out of the image"));
    oci::Image image = image_of({good});
    image.layers[0].diff_id = sha256("");
    EXPECT_THAT([&] { convert(image); }, ThrowsMessage<base::Error>(StartsWith("layer 1: its tar has the SHA-256 ")));
}

TEST(Convert, NoticesAFileThatChangesMeanwhile) {
    oci::Image image = image_of({test::make_tar({{.path = "f", .content = "x"}})});
    convert::Digests digests(image.layers);  // of the layer as it was first
    const auto calls = std::make_shared<int>(0);
    image.layers[0].open_blob = [calls, first = image.layers[0].open_blob] {
        return (*calls)++ == 0 ? first() : test::stream_of(test::make_tar({{.path = "f", .content = "longer"}}));
    };
    const Converted result;
    EXPECT_THAT([&] { convert::convert(image, {}, result.fd.get(), "app.gvmi", {}, digests); },
                ThrowsMessage<base::Error>("layer 1: it changed while it was read"));
}

// A list of layers may name the same blob any number of times.
TEST(Convert, BoundsTheLayersTogether) {
    const std::string tar = test::make_tar({{.path = "a", .content = "x"}}) + std::string(size_t{1} << 20, '\0');
    convert::Options options;
    options.limits.data_bytes = size_t{5} << 19;
    EXPECT_NO_THROW(convert(image_of({tar, tar}), options));
    EXPECT_THAT(
        [&] {
            convert(image_of({tar, tar, tar}), options);
        },
        ThrowsMessage<base::Error>("the layers have more than 2.5 MiB (--limit-gib)"));
    oci::Image packed = image_of({tar, tar, tar});
    for (oci::Layer& layer : packed.layers) {
        const std::string blob = test::compress("gzip", tar);
        layer.size = blob.size();
        layer.open_blob = [blob] { return test::stream_of(blob); };
    }
    EXPECT_THAT([&] { convert(packed, options); },
                ThrowsMessage<base::Error>("layer 3: the layers together unpack to more than is allowed (--limit-gib)"));
    options.limits.data_bytes = size_t{7} << 19;
    EXPECT_NO_THROW(convert(packed, options));
}

}  // namespace
