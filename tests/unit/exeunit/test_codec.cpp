#include "exeunit/codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "exeunit/ya_runtime_api.pb.h"

namespace exeunit {
namespace {

using ya_runtime_api::Request;
using ya_runtime_api::Response;

void feed(Decoder& decoder, std::string_view bytes) {
    const std::span<char> room = decoder.prepare(bytes.size());
    ASSERT_GE(room.size(), bytes.size());
    if (!bytes.empty()) std::memcpy(room.data(), bytes.data(), bytes.size());
    decoder.commit(bytes.size());
}

Response output(uint64_t pid, const std::string& bytes) {
    Response response;
    response.set_event(true);
    response.mutable_status()->set_pid(pid);
    response.mutable_status()->set_running(true);
    response.mutable_status()->set_stdout(bytes);
    return response;
}

// What `next` says to bytes that are no frame.
std::string complaint(std::string_view bytes) {
    Decoder decoder;
    feed(decoder, bytes);
    Request request;
    try {
        (void)decoder.next(request);
    } catch (const FrameError& e) {
        return e.what();
    }
    return "accepted";
}

TEST(Codec, FrameIsVarintAndMessage) {
    Request request;
    request.set_id(5);
    request.mutable_hello()->set_version("0.1.0");
    std::string frame;
    append_frame(frame, request);
    EXPECT_EQ(frame, std::string("\x0b\x08\x05\x12\x07\x0a\x05", 7) + "0.1.0");
}

TEST(Codec, EmptyMessageIsOneByte) {
    std::string frame;
    append_frame(frame, Request());
    EXPECT_EQ(frame, std::string(1, '\0'));
    Decoder decoder;
    feed(decoder, frame);
    Request request;
    EXPECT_TRUE(decoder.next(request));
    EXPECT_EQ(request.command_case(), Request::COMMAND_NOT_SET);
    EXPECT_FALSE(decoder.next(request));
    EXPECT_TRUE(decoder.at_frame_end());
}

TEST(Codec, EveryCutOfTheStreamGivesTheSameMessages) {
    std::string stream;
    const std::vector<size_t> sizes{0, 1, 127, 128, 16383, 16384, 40000};
    for (const size_t size : sizes)
        append_frame(stream, output(size + 1, std::string(size, 'x')));
    std::minstd_rand random(1);
    for (const size_t piece : {size_t{1}, size_t{3}, size_t{0}, stream.size()}) {
        Decoder decoder;
        std::vector<size_t> seen;
        Response response;
        for (size_t at = 0; at < stream.size();) {
            const size_t size = std::min(piece ? piece : random() % 5000 + 1, stream.size() - at);
            feed(decoder, std::string_view(stream).substr(at, size));
            at += size;
            while (decoder.next(response)) {
                EXPECT_EQ(response.status().pid(), response.status().stdout().size() + 1);
                seen.push_back(response.status().stdout().size());
            }
        }
        EXPECT_EQ(seen, sizes);
        EXPECT_TRUE(decoder.at_frame_end());
    }
}

TEST(Codec, LengthMayTakeTenBytes) {
    Decoder decoder;
    feed(decoder, std::string("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 10));
    Request request;
    EXPECT_TRUE(decoder.next(request));
}

TEST(Codec, UnfinishedFrameWaits) {
    Decoder decoder;
    Request request;
    EXPECT_FALSE(decoder.next(request));
    feed(decoder, "\x80\x80\x80");
    EXPECT_FALSE(decoder.next(request));
    EXPECT_FALSE(decoder.at_frame_end());
}

TEST(Codec, HostileLengthsAreRefused) {
    EXPECT_EQ(complaint("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), "bad frame: its length does not fit 64 bits");
    EXPECT_EQ(complaint("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), "bad frame: its length does not fit 64 bits");
    EXPECT_EQ(complaint("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
              "bad frame: a message of 18446744073709551615 bytes is over the limit of 16777216");
    EXPECT_EQ(complaint("\x81\x80\x80\x08"), "bad frame: a message of 16777217 bytes is over the limit of 16777216");
}

TEST(Codec, BytesThatAreNoMessageAreRefused) {
    EXPECT_EQ(complaint("\x03\xff\xff\xff"), "bad frame: its 3 bytes are not a message");
    // A submessage that claims to be longer than its frame.
    EXPECT_EQ(complaint("\x03\x12\x7f\x0a"), "bad frame: its 3 bytes are not a message");
}

TEST(Codec, UnknownFieldsAreSkipped) {
    Decoder decoder;
    feed(decoder, std::string("\x06\x08\x07\xca\x3e\x01x", 7));  // field 1001, a string
    Request request;
    ASSERT_TRUE(decoder.next(request));
    EXPECT_EQ(request.id(), 7);
    EXPECT_EQ(request.command_case(), Request::COMMAND_NOT_SET);
}

TEST(Codec, RandomBytesNeverCrash) {
    std::minstd_rand random(2);
    for (int round = 0; round < 20000; round++) {
        Decoder decoder(1000);
        std::string bytes(random() % 64, '\0');
        std::generate(bytes.begin(), bytes.end(), [&random] { return static_cast<char>(random() >> 8); });
        feed(decoder, bytes);
        Request request;
        try {
            while (decoder.next(request)) {
            }
        } catch (const FrameError&) {  // as good as an answer
        }
    }
}

// 64 MiB in pieces of 1 KiB with a message of 8 MiB among them; copying the rest at each piece would take minutes.
TEST(Codec, LongStreamIsNotCopiedAgainAndAgain) {
    std::string stream;
    append_frame(stream, output(1, std::string(8 << 20, 'x')));
    const std::string frame = [] {
        std::string f;
        append_frame(f, output(2, std::string(32 << 10, 'y')));
        return f;
    }();
    while (stream.size() < 64 << 20)
        stream += frame;
    Decoder decoder;
    Response response;
    size_t messages = 0;
    size_t room = 0;
    for (size_t at = 0; at < stream.size(); at += 1024) {
        feed(decoder, std::string_view(stream).substr(at, 1024));
        room = std::max(room, decoder.prepare(1).size());
        while (decoder.next(response))
            messages++;
    }
    EXPECT_EQ(messages, 1 + (stream.size() - (8 << 20)) / frame.size());
    EXPECT_LE(room, 32 << 20);
}

}  // namespace
}  // namespace exeunit
