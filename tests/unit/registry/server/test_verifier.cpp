#include "registry/server/verifier.h"

#include <atomic>

#include "fixture.h"
#include "http/client.h"
#include "registry/server/sqlite_metadata.h"

namespace registry::server {
namespace {

class VerifierTest : public RegistryOnEach {
protected:
    ~VerifierTest() override { verifier_.stop(); }
    State state(const TestImage& image) { return metadata_.find_upload(image.id)->state; }
    void wait_for(const TestImage& image, State wanted) {
        wait_until([&] { return state(image) == wanted; });
    }

    Verifier verifier_{metadata_, storage_, 2};
};

WITH_EACH_DATA_BASE(VerifierTest);

TEST_P(VerifierTest, ChunksInAnyOrder) {
    const TestImage image("aaaabbbbccccdd");
    add(image, State::partial);
    verifier_.advance(image.id);
    for (const size_t number : {3, 1, 0, 2}) {
        EXPECT_EQ(state(image), State::partial);
        store(image.chunks[number]);
        verifier_.advance(image.id);
    }
    wait_for(image, State::full);
}

TEST_P(VerifierTest, AChunkOfAnotherUploadWakesTheOnesThatWait) {
    const TestImage image("aaaabbbb");
    add(image, State::partial);
    store("bbbb");
    verifier_.advance(image.id);
    // Whether the first step is over or not.
    store("aaaa");
    verifier_.stored(image.descriptor.chunks[0]);
    wait_for(image, State::full);
}

TEST_P(VerifierTest, AWrongHashIsBad) {
    TestImage image("aaaabbbb");
    image.descriptor.sha3 = std::string(56, '0');
    add(image, State::partial);
    store("aaaa");
    store("bbbb");
    verifier_.advance(image.id);
    wait_for(image, State::bad);
}

// A data base that is down when the first outcome is to be written.
class DownOnce : public SqliteMetadata {
public:
    using SqliteMetadata::SqliteMetadata;
    void set_state(const std::string& id, State state, Time now) override {
        if (!failed.exchange(true)) throw http::TransientError("down");
        SqliteMetadata::set_state(id, state, now);
    }
    std::atomic<bool> failed = false;
};

class OutcomeTest : public Registry {};

TEST_F(OutcomeTest, AnOutcomeThatCannotBeWrittenIsWrittenLater) {
    const TestImage image("aaaabbbb");
    add(image, State::partial);
    store("aaaa");
    store("bbbb");
    DownOnce metadata(folder_ / "registry.sqlite");
    Verifier verifier(metadata, storage_, 1);
    verifier.advance(image.id);
    wait_until([&] {
        verifier.look_around();
        return metadata_.find_upload(image.id)->state != State::partial;
    });
    verifier.stop();
    EXPECT_TRUE(metadata.failed);
    EXPECT_EQ(metadata_.find_upload(image.id)->state, State::full);
}

TEST_P(VerifierTest, AChunkOfAnotherLengthIsBad) {
    TestImage image("aaaabbbb");
    image.descriptor.chunk_size = 5;
    add(image, State::partial);
    store("aaaa");
    store("bbbb");
    verifier_.advance(image.id);
    wait_for(image, State::bad);
}

// Descriptors of 32 KB that order the hashing of much more than was stored.
TEST_P(VerifierTest, StrangersHashNoMoreThanTheyPayFor) {
    std::string text;
    for (int i = 0; i < 100; i++)
        text += "same";
    const TestImage costly(text), paid("paid for in full"), known("known" + text);
    Verifier verifier(metadata_, storage_, 1, {.factor = 4, .pool = 40, .pool_per_second = 0});
    for (const TestImage* image : {&costly, &paid, &known}) {
        add(*image, State::partial);
        for (const std::string& chunk : image->chunks)
            store(chunk);
    }
    metadata_.add_stored(costly.id, 4);
    metadata_.add_stored(paid.id, 16);
    metadata_.set_known(known.id);
    verifier.advance(costly.id);
    verifier.advance(paid.id);
    verifier.advance(known.id);
    wait_until([&] { return state(paid) == State::full && state(known) == State::full; });
    // Who asks again changes nothing: the 400 bytes are more than the pool has.
    for (int i = 0; i < 100; i++)
        verifier.advance(costly.id);
    verifier.stop();
    EXPECT_EQ(state(costly), State::partial);
}

TEST_P(VerifierTest, ThePoolPaysForWhatNobodyElseDoes) {
    const TestImage image("samesamesame");
    Verifier verifier(metadata_, storage_, 1, {.factor = 1, .pool = 12, .pool_per_second = 0});
    add(image, State::partial);
    store("same");
    verifier.advance(image.id);
    wait_for(image, State::full);
    verifier.stop();
}

TEST_P(VerifierTest, AChunkThatIsHashedInPieces) {
    std::string text(40 << 20, 'a');
    text.back() = 'b';
    const TestImage image(text, 64 << 20);
    add(image, State::partial);
    store(text);
    verifier_.advance(image.id);
    wait_for(image, State::full);
}

TEST_P(VerifierTest, ManyAtOnce) {
    std::vector<TestImage> images;
    for (int i = 0; i < 50; i++) {
        images.emplace_back("same" + std::to_string(i * 12345) + "same");
        add(images.back(), State::partial);
        verifier_.advance(images.back().id);
    }
    for (const TestImage& image : images) {
        for (size_t number = 0; number < image.chunks.size(); number++) {
            store(image.chunks[number]);
            verifier_.advance(image.id);
            verifier_.stored(image.descriptor.chunks[number]);
        }
    }
    for (const TestImage& image : images)
        wait_for(image, State::full);
}

}  // namespace
}  // namespace registry::server
