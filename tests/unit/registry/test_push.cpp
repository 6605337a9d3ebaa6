#include "registry/push.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "base/error.h"
#include "canned_server.h"

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using http_test::answer;
using http_test::CannedServer;
using http_test::put;
using testing::AllOf;
using testing::HasSubstr;

// A push of an image of 10 chunks to a server that answers `status` (JSON) to every question for the upload's status and `posted` to the
// rest.
class Push : public testing::Test {
protected:
    Push() {
        std::string pattern = (fs::temp_directory_path() / "gvmkit-push.XXXXXX").string();
        folder = ::mkdtemp(pattern.data());
        std::ofstream file(folder / "a.gvmi", std::ios::binary);
        for (int i = 0; i < 10; i++)
            file << std::string(5000, static_cast<char>('a' + i));
    }
    ~Push() override { fs::remove_all(folder); }

    std::string push(const std::function<void(const std::string&, int)>& serve) {
        CannedServer server(serve);
        registry::PushOptions options{.url = server.url()};
        options.connection.answer = 2s;
        options.connection.stall = 1s;
        options.connection.tries = 2;
        options.connection.pause = 1ms;
        options.verified = 1s;
        const auto image = registry::load_or_compute_descriptor(
            folder / "a.gvmi", 5000, [](const std::string&) {}, [](uint64_t, uint64_t) {});
        std::string message = "done";
        try {
            summary = registry::push_image(image, options);
        } catch (const base::Error& e) {
            message = e.what();
        }
        requests = server.requests();
        return message;
    }
    std::string push(const std::string& status, const std::string& posted = answer("")) {
        return push([&](const std::string& head, int fd) { put(fd, head.starts_with("GET") ? answer(status) : posted); });
    }

    fs::path folder;
    registry::PushSummary summary;
    std::vector<std::string> requests;
};

std::string status(const std::string& state, const std::string& chunks) {
    return R"({"descriptor":"ok","version":1,"status":")" + state + R"(","chunks":)" + chunks + "}";
}

TEST_F(Push, WhatIsThereIsNotSent) {
    EXPECT_EQ(push(status("full", "null")), "done");
    EXPECT_EQ(summary.sent_chunks, 0U);
    EXPECT_EQ(requests.size(), 1U);
}

TEST_F(Push, MissingChunksAreSentOnce) {
    int asked = 0;
    const auto serve = [&](const std::string& head, int fd) {
        if (!head.starts_with("GET")) return put(fd, answer(""));
        asked++;
        put(fd, answer(asked < 3 ? status("partial", "[1,1,1,0,1,1,1,1,0,1]") : status("full", "null")));
    };
    EXPECT_EQ(push(serve), "done");
    EXPECT_EQ(summary.sent_chunks, 2U);
    EXPECT_EQ(summary.sent_bytes, 10000U);
    EXPECT_EQ(std::count_if(requests.begin(), requests.end(), [](const std::string& head) { return head.starts_with("POST"); }), 2);
}

TEST_F(Push, ARegistryThatForgetsIsNotFedForEver) {
    EXPECT_THAT(push(status("partial", "[1,1,1,0,1,1,1,1,0,1]")), HasSubstr("the registry took chunk 3 and does not have it"));
    EXPECT_EQ(summary.sent_chunks, 0U);
    EXPECT_LE(requests.size(), 5U);
}

TEST_F(Push, NullMayMeanAllOnceAllWereSent) {
    EXPECT_THAT(push(status("partial", "null")), HasSubstr("has not verified the image within 1 s"));
    EXPECT_EQ(std::count_if(requests.begin(), requests.end(), [](const std::string& head) { return head.starts_with("POST"); }), 10);
}

TEST_F(Push, AnswersThatMakeNoSenseAreNamed) {
    EXPECT_THAT(push("<html>"), AllOf(HasSubstr("GET http://"), HasSubstr("not JSON")));
    EXPECT_THAT(push("[]"), HasSubstr("\"descriptor\" is neither"));
    EXPECT_THAT(push(R"({"descriptor":1})"), HasSubstr("\"descriptor\" is neither"));
    EXPECT_THAT(push(status("partial", "[1]")), HasSubstr("marks of 1 chunks, not 10"));
    EXPECT_THAT(push(status("partial", "{}")), HasSubstr("\"chunks\" is no list"));
    EXPECT_THAT(push(status("partial", R"([1,1,1,0,1,1,"x",1,0,1])")), HasSubstr("neither 0 nor 1"));
    EXPECT_THAT(push(std::string(100000, '[')), HasSubstr("not JSON"));
}

TEST_F(Push, ARefusedChunkIsNamedWithTheReason) {
    const std::string message = push(status("partial", "[1,1,1,0,1,1,1,1,1,1]"), answer("bad\x1b[2J hash", "", "400 Bad Request"));
    EXPECT_THAT(message, AllOf(HasSubstr("chunk 3: POST "), HasSubstr("status 400: bad\\x1b[2J hash")));
}

TEST_F(Push, ARegistryThatIsBusyIsAskedAgain) {
    int posts = 0;
    bool full = false;
    const auto serve = [&](const std::string& head, int fd) {
        if (head.starts_with("GET")) return put(fd, answer(status(full ? "full" : "partial", "[1,1,1,0,1,1,1,1,1,1]")));
        full = posts++ > 0;
        put(fd, full ? answer("") : answer("busy", "", "503 Service Unavailable"));
    };
    EXPECT_EQ(push(serve), "done");
    EXPECT_EQ(posts, 2);
}

TEST_F(Push, ARedirectedPushIsExplained) {
    const std::string message = push(R"({"descriptor":"missing","version":null,"status":null,"chunks":null})",
                                     answer("", "Location: https://elsewhere/\r\n", "301 Moved Permanently"));
    EXPECT_THAT(message, AllOf(HasSubstr("https://elsewhere/"), HasSubstr("REGISTRY_URL")));
}

}  // namespace
