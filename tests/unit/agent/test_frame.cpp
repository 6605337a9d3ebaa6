#include "agent/frame.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "agent/agent.pb.h"

namespace {

using agent::FrameDecoder;

void feed(FrameDecoder& decoder, std::string_view bytes) {
    const std::span<char> space = decoder.prepare(bytes.size());
    std::copy(bytes.begin(), bytes.end(), space.begin());
    decoder.commit(bytes.size());
}

std::string frame(std::string_view payload) {
    std::string text(agent::kFrameHeaderBytes, '\0');
    agent::put_frame_header(text.data(), static_cast<uint32_t>(payload.size()));
    return text.append(payload);
}

TEST(Frame, HeaderIsLittleEndian) {
    EXPECT_EQ(frame(std::string(0x010203, 'x')).substr(0, 4), std::string("\x03\x02\x01\x00", 4));
}

TEST(Frame, AppendsAMessageAfterWhatIsThere) {
    agent::Message message;
    message.mutable_exited()->set_code(7);
    std::string out = "before";
    agent::append_frame(out, message);
    EXPECT_EQ(out, "before" + frame(message.SerializeAsString()));
}

TEST(FrameDecoder, TakesBytesInAnyPieces) {
    const std::string bytes = frame("one") + frame("") + frame(std::string(3000, 'x')) + frame("four");
    for (const size_t piece : {size_t{1}, size_t{2}, size_t{3}, size_t{7}, size_t{1000}, bytes.size()}) {
        FrameDecoder decoder(4096);
        std::vector<std::string> payloads;
        for (size_t at = 0; at < bytes.size(); at += piece) {
            feed(decoder, std::string_view(bytes).substr(at, piece));
            std::string_view payload;
            while (decoder.next(payload) == FrameDecoder::Found::frame)
                payloads.emplace_back(payload);
        }
        ASSERT_EQ(payloads.size(), 4U) << piece;
        EXPECT_EQ(payloads[0], "one");
        EXPECT_EQ(payloads[1], "");
        EXPECT_EQ(payloads[2], std::string(3000, 'x'));
        EXPECT_EQ(payloads[3], "four");
    }
}

TEST(FrameDecoder, RefusesAFrameByItsHeaderAlone) {
    FrameDecoder decoder(10);
    std::string_view payload;
    feed(decoder, frame("0123456789"));
    EXPECT_EQ(decoder.next(payload), FrameDecoder::Found::frame);
    feed(decoder, std::string_view("\x0b\0\0\0", 4));
    EXPECT_EQ(decoder.next(payload), FrameDecoder::Found::too_long);
    FrameDecoder other(10);
    feed(other, "\xff\xff\xff\xff");
    EXPECT_EQ(other.next(payload), FrameDecoder::Found::too_long);
}

}  // namespace
