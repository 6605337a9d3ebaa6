#include "registry/server/verifier.h"

#include "fixture.h"

namespace registry::server {
namespace {

class VerifierTest : public Registry {
protected:
    ~VerifierTest() override { verifier_.stop(); }
    State state(const TestImage& image) { return metadata_.find_upload(image.id)->state; }
    void wait_for(const TestImage& image, State wanted) {
        wait_until([&] { return state(image) == wanted; });
    }

    Verifier verifier_{metadata_, storage_, 2};
};

TEST_F(VerifierTest, ChunksInAnyOrder) {
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

TEST_F(VerifierTest, AChunkOfAnotherUploadWakesTheOnesThatWait) {
    const TestImage image("aaaabbbb");
    add(image, State::partial);
    store("bbbb");
    verifier_.advance(image.id);
    // Whether the first step is over or not.
    store("aaaa");
    verifier_.stored(image.descriptor.chunks[0]);
    wait_for(image, State::full);
}

TEST_F(VerifierTest, AWrongHashIsBad) {
    TestImage image("aaaabbbb");
    image.descriptor.sha3 = std::string(56, '0');
    add(image, State::partial);
    store("aaaa");
    store("bbbb");
    verifier_.advance(image.id);
    wait_for(image, State::bad);
}

TEST_F(VerifierTest, AChunkOfAnotherLengthIsBad) {
    TestImage image("aaaabbbb");
    image.descriptor.chunk_size = 5;
    add(image, State::partial);
    store("aaaa");
    store("bbbb");
    verifier_.advance(image.id);
    wait_for(image, State::bad);
}

TEST_F(VerifierTest, ManyAtOnce) {
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
