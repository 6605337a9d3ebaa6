#include <gmock/gmock.h>

#include <vector>

#include "dbg/outbound/frame_splitter.h"
#include "frames.h"

namespace dbg::outbound {
namespace {

using testing::ElementsAre;

TEST(FrameSplitter, TakesFramesInAnyPieces) {
    std::string stream;
    for (const std::string frame : {"first", "", "third"})
        append_frame(stream, bytes_of(frame));
    for (size_t piece = 1; piece <= stream.size(); piece++) {
        FrameSplitter splitter;
        std::vector<std::string> frames;
        const auto take = [&](Bytes frame) { frames.emplace_back(frame.begin(), frame.end()); };
        for (size_t at = 0; at < stream.size(); at += piece)
            EXPECT_TRUE(splitter.add(bytes_of(stream.substr(at, piece)), take));
        EXPECT_THAT(frames, ElementsAre("first", "", "third"));
    }
}

TEST(FrameSplitter, RefusesAFrameThatIsTooLong) {
    FrameSplitter splitter;
    const auto take = [](Bytes) { FAIL(); };
    EXPECT_TRUE(splitter.add(bytes_of(big_endian(kLargestFrame, 4)), take));
    FrameSplitter other;
    EXPECT_FALSE(other.add(bytes_of(big_endian(kLargestFrame + 1, 4)), take));
}

}  // namespace
}  // namespace dbg::outbound
