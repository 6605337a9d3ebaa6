#include "runtime/network/frame_filter.h"

#include <gtest/gtest.h>

#include <string>

namespace {

std::string framed(size_t size, char content) {
    std::string result;
    for (const int shift : {24, 16, 8, 0})
        result += static_cast<char>(size >> shift);
    return result + std::string(size, content);
}

// What comes out of a stream that arrives in pieces of so many bytes.
std::string filtered(runtime::FrameFilter& filter, const std::string& stream, size_t piece) {
    std::vector<char> out;
    for (size_t i = 0; i < stream.size(); i += piece)
        filter.take(std::span(stream).subspan(i, std::min(piece, stream.size() - i)), out);
    return {out.begin(), out.end()};
}

TEST(FrameFilter, LeavesOutWhatIsNoFrame) {
    const std::string good = framed(runtime::kMinFrame, 'a') + framed(60, 'b') + framed(runtime::kMaxFrame, 'c');
    const std::string stream = framed(0, 'x') + framed(runtime::kMinFrame, 'a') + framed(runtime::kMaxFrame + 1, 'x') + framed(60, 'b') +
                               framed(runtime::kMinFrame - 1, 'x') + framed(runtime::kMaxFrame, 'c');
    for (const size_t piece : {size_t{1}, size_t{3}, size_t{1000}, stream.size()}) {
        runtime::FrameFilter filter;
        EXPECT_TRUE(filtered(filter, stream, piece) == good) << piece;
        EXPECT_EQ(filter.dropped(), 3U);
    }
}

TEST(FrameFilter, HugeLengthTakesNoMemory) {
    runtime::FrameFilter filter;
    EXPECT_EQ(filtered(filter, "\xff\xff\xff\xff" + std::string(1 << 20, 'x'), 4096), "");
    EXPECT_EQ(filter.dropped(), 1U);
}

}  // namespace
