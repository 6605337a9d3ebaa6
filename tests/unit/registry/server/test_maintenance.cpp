#include "registry/server/maintenance.h"

#include <gmock/gmock.h>

#include <fstream>

#include "base/hash.h"
#include "fixture.h"

namespace registry::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Maintenance : public RegistryOnEach {
protected:
    std::vector<std::string> problems(const CheckOptions& options = {}) {
        std::vector<std::string> all;
        check_registry(metadata_, storage_, options, [&all](const std::string& text) { all.push_back(text); });
        return all;
    }
    std::filesystem::path path(const std::string& sha256) const { return folder_ / "chunks" / sha256.substr(0, 2) / sha256; }
};

WITH_EACH_DATA_BASE(Maintenance);

TEST_P(Maintenance, RemovesOnlyWhatNobodyHas) {
    const TestImage old("aaaabbbb"), young("bbbbcccc"), tagged("ccccdddd");
    add(old, State::full, 10);
    add(young, State::full, 20);
    add(tagged, State::full, 10);
    metadata_.add_user("alice", std::nullopt, 0);
    metadata_.set_tag({"alice", "tools", "1"}, tagged.id, 1000, 10, false, 0);
    store("eeee");  // of no upload
    const Collected collected = collect_garbage(metadata_, storage_, 10);
    EXPECT_EQ(collected.uploads, 1u);
    EXPECT_EQ(collected.chunks, 2u);  // aaaa and eeee
    EXPECT_EQ(collected.bytes, 8u);
    EXPECT_FALSE(storage_.has(old.descriptor.chunks[0]));
    EXPECT_THAT(problems(), IsEmpty());
}

TEST_P(Maintenance, FindsNothingWhereNothingIsWrong) {
    add(TestImage("aaaabbbb"), State::full);
    add(TestImage("ccccdddd"), State::partial);
    store("eeee");
    EXPECT_THAT(problems(), IsEmpty());
}

TEST_P(Maintenance, NotesWhatBelongsToNoUpload) {
    add(TestImage("aaaabbbb"), State::full);
    store("eeee");
    std::ofstream(folder_ / "chunks" / "strange") << "x";
    std::vector<std::string> notes;
    EXPECT_THAT(problems({.read = false, .note = [&notes](const std::string& text) { notes.push_back(text); }}), IsEmpty());
    EXPECT_THAT(notes, ElementsAre(HasSubstr("chunks/strange is none of the registry's"), HasSubstr("(4 bytes) is in no upload")));
    EXPECT_TRUE(storage_.has(base::sha256_hex(bytes("eeee"))));
}

TEST_P(Maintenance, FindsAndRepairsABrokenChunk) {
    const TestImage image("aaaabbbb");
    add(image, State::full);
    std::ofstream(path(image.descriptor.chunks[1])) << "bbbx";
    EXPECT_THAT(problems({.read = false}), IsEmpty());
    EXPECT_THAT(problems({.read = true, .repair = true}),
                ElementsAre(HasSubstr("it does not have its SHA-256"), HasSubstr("chunk 1 is missing")));
    EXPECT_FALSE(storage_.has(image.descriptor.chunks[1]));
    EXPECT_EQ(metadata_.find_upload(image.id)->state, State::partial);
    EXPECT_THAT(problems(), IsEmpty());
}

TEST_P(Maintenance, FindsWrongLengthsMissingChunksAndWrongImages) {
    const TestImage image("aaaabbbb");
    add(image, State::full);
    std::filesystem::resize_file(path(image.descriptor.chunks[1]), 3);
    EXPECT_THAT(problems({.read = false}), ElementsAre(HasSubstr("chunk 1 has a wrong length")));
    std::filesystem::remove(path(image.descriptor.chunks[0]));
    EXPECT_THAT(problems({.read = false}), ElementsAre(HasSubstr("chunk 0 is missing")));

    TestImage wrong("ccccdddd");
    wrong.descriptor.sha3 = std::string(56, '0');
    add(wrong, State::full);
    EXPECT_THAT(problems(), testing::Contains(HasSubstr("its SHA3-224 is not the descriptor's")));
    EXPECT_THAT(problems(), testing::Contains(HasSubstr("the descriptor is another one")));
}

}  // namespace
}  // namespace registry::server
