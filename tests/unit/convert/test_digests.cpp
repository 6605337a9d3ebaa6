#include "convert/digests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>

#include "base/error.h"
#include "base/hash.h"
#include "tar_builder.h"

namespace {

using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

std::string digest_of(const std::string& text) {
    return base::sha256_hex(std::as_bytes(std::span(text)));
}

oci::Layer layer_of(const std::string& name, const std::string& tar) {
    oci::Layer layer;
    layer.name = name;
    layer.size = tar.size();
    layer.diff_id = digest_of(tar);
    layer.open_blob = [tar] { return test::stream_of(tar); };
    return layer;
}

std::string some_tar() {
    return test::make_tar({{.path = "f", .content = std::string(1000000, 'f')}});
}

// Never ends; counts what has been read of it.
class Endless : public oci::Stream {
public:
    explicit Endless(std::shared_ptr<std::atomic<int>> read) : read_(std::move(read)) {}

    std::span<const std::byte> next() override {
        (*read_)++;
        return buffer_;
    }

private:
    std::shared_ptr<std::atomic<int>> read_;
    std::vector<std::byte> buffer_ = std::vector<std::byte>(4096);
};

TEST(Digests, CoversPlainTarsOnly) {
    const std::string tar = some_tar();
    oci::Layer packed = layer_of("packed", tar);
    packed.open_blob = [blob = test::compress("gzip", tar)] { return test::stream_of(blob); };
    oci::Layer folder;
    folder.open_entries = [] { return std::unique_ptr<oci::Entries>(); };
    convert::Digests digests({layer_of("plain", tar), packed, folder, layer_of("empty", "")});
    EXPECT_TRUE(digests.covers(0));
    EXPECT_FALSE(digests.covers(1));
    EXPECT_FALSE(digests.covers(2));
    EXPECT_TRUE(digests.covers(3));
    EXPECT_NO_THROW(digests.finish());
}

TEST(Digests, OfNothingAreRight) {
    convert::Digests digests({});
    EXPECT_NO_THROW(digests.finish());
}

TEST(Digests, NameTheLayerThatIsWrong) {
    const std::string tar = some_tar();
    oci::Layer wrong = layer_of("layer 2", tar);
    wrong.diff_id = digest_of("");
    convert::Digests of_tar({layer_of("layer 1", tar), wrong});
    EXPECT_THAT([&] { of_tar.finish(); }, ThrowsMessage<base::Error>(StartsWith("layer 2: its tar has the SHA-256 " + digest_of(tar))));

    wrong = layer_of("layer 1", tar);
    wrong.digest = digest_of("");
    convert::Digests of_blob({wrong});
    EXPECT_THAT([&] { of_blob.finish(); }, ThrowsMessage<base::Error>(HasSubstr("its blob has the SHA-256 " + digest_of(tar))));

    oci::Layer right = layer_of("layer 1", tar);
    right.digest = right.diff_id;
    convert::Digests of_both({right});
    EXPECT_NO_THROW(of_both.finish());
}

TEST(Digests, LeaveTheCountOfAllLayersToTheConversion) {
    oci::Layer layer = layer_of("layer 1", some_tar());
    layer.left = std::make_shared<uint64_t>(1);
    convert::Digests digests({layer});
    EXPECT_NO_THROW(digests.finish());
    EXPECT_EQ(*layer.left, 1);
}

TEST(Digests, EndWhenTheyAreGivenUp) {
    const auto read = std::make_shared<std::atomic<int>>(0);
    oci::Layer layer = layer_of("layer 1", "");
    layer.open_blob = [read] { return std::make_unique<Endless>(read); };
    {
        convert::Digests digests({layer});
        EXPECT_THAT([&] { digests.finish([] { throw base::Error("interrupted"); }); }, ThrowsMessage<base::Error>("interrupted"));
    }
    const int then = *read;
    EXPECT_GT(then, 1);
    EXPECT_EQ(*read, then);
    EXPECT_EQ(read.use_count(), 2);  // here, and in the layer: the thread has let go
}

}  // namespace
