#include "registry/server/file_storage.h"

#include "base/hash.h"
#include "fixture.h"
#include "registry/server/errors.h"

namespace registry::server {
namespace {

class FileStorageTest : public Registry {
protected:
    size_t incoming() const { return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder_ / "incoming"), {})); }
    const std::string hash_ = base::sha256_hex(bytes("hello"));
};

TEST_F(FileStorageTest, AChunkIsThereOnceItIsWhole) {
    {
        const auto writer = storage_.begin(hash_, 5);
        writer->write(bytes("hel"));
        EXPECT_FALSE(storage_.has(hash_));
        writer->write(bytes("lo"));
        EXPECT_FALSE(storage_.has(hash_));
        writer->commit();
    }
    EXPECT_TRUE(storage_.has(hash_));
    EXPECT_EQ(incoming(), 0u);
    std::string text(10, '.');
    EXPECT_EQ(storage_.open(hash_)->read(1, std::as_writable_bytes(std::span(text))), 4u);
    EXPECT_EQ(text, "ello......");
}

TEST_F(FileStorageTest, WrongBytesAreRefused) {
    for (const char* text : {"hallo", "hell", ""}) {
        const auto writer = storage_.begin(hash_, 5);
        writer->write(bytes(text));
        EXPECT_THROW(writer->commit(), HttpError) << text;
    }
    EXPECT_THROW(storage_.begin(hash_, 5)->write(bytes("hello!")), HttpError);
    EXPECT_FALSE(storage_.has(hash_));
    EXPECT_EQ(incoming(), 0u);
}

TEST_F(FileStorageTest, AStoredChunkIsCheckedAgainButNotWritten) {
    store("hello");
    const auto writer = storage_.begin(hash_, 5);
    EXPECT_EQ(incoming(), 0u);
    writer->write(bytes("hello"));
    EXPECT_NO_THROW(writer->commit());
    const auto wrong = storage_.begin(hash_, 5);
    wrong->write(bytes("hallo"));
    EXPECT_THROW(wrong->commit(), HttpError);
}

TEST_F(FileStorageTest, ListsAndRemoves) {
    store("hello");
    store("a");
    uint64_t total = 0;
    storage_.list([&total](const std::string&, uint64_t length) { total += length; });
    EXPECT_EQ(total, 6u);
    storage_.remove(hash_);
    storage_.remove(hash_);
    EXPECT_FALSE(storage_.has(hash_));
    EXPECT_THROW(storage_.open(hash_), base::SystemError);
    EXPECT_GT(storage_.free_bytes(), 0u);
}

TEST_F(FileStorageTest, HalfChunksOfAKilledServerAreCleared) {
    const auto writer = storage_.begin(hash_, 5);
    EXPECT_EQ(incoming(), 1u);
    storage_.clear_incoming(std::chrono::seconds(0));
    EXPECT_EQ(incoming(), 0u);
}

}  // namespace
}  // namespace registry::server
