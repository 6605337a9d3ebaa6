#include "registry/pull.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "base/error.h"
#include "base/hash.h"
#include "canned_server.h"

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using http_test::answer;
using http_test::CannedServer;
using http_test::put;
using registry::ImageSource;
using testing::AllOf;
using testing::HasSubstr;

std::string sha3(const std::string& text) {
    base::Hasher hasher(base::Hasher::Kind::sha3_224);
    hasher.update(std::as_bytes(std::span(text)));
    return hasher.hex();
}

http::Options quick() {
    http::Options options;
    options.answer = 2s;
    options.stall = 1s;
    options.tries = 3;
    options.pause = 1ms;
    return options;
}

std::string message_of(const std::function<void()>& f) {
    try {
        f();
    } catch (const base::Error& e) {
        return e.what();
    }
    return "no error";
}

class Pull : public testing::Test {
protected:
    Pull() {
        std::string pattern = (fs::temp_directory_path() / "gvmkit-pull.XXXXXX").string();
        folder = ::mkdtemp(pattern.data());
        for (size_t i = 0; image.size() < (size_t{3} << 20); i++)
            image += std::to_string(i);
    }
    ~Pull() override { fs::remove_all(folder); }

    ImageSource source(const CannedServer& server) const { return {server.url() + "/image", sha3(image), image.size(), {}, {}}; }
    std::string pull(const ImageSource& from) const {
        return registry::pull_image(
            from, folder / "out", [](uint64_t, uint64_t) {}, quick());
    }
    std::string error_of(const ImageSource& from) const {
        return message_of([&] { (void)pull(from); });
    }
    std::string output() const {
        std::ifstream file(folder / "out", std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    size_t files() const { return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator())); }

    // Answers as a server should, from where a Range says; sends at most `limit` bytes and then breaks.
    void serve(const std::string& head, int fd, size_t limit = SIZE_MAX) const {
        size_t start = 0;
        if (const size_t range = head.find("Range: bytes="); range != std::string::npos) start = std::stoul(head.substr(range + 13));
        std::string whole = answer(image.substr(start), "ETag: \"abc\"\r\n");
        if (start > 0) {
            whole = answer(image.substr(start),
                           "Content-Range: bytes " + std::to_string(start) + "-" + std::to_string(image.size() - 1) + "/" +
                               std::to_string(image.size()) + "\r\n",
                           "206 Partial Content");
        }
        if (head.starts_with("HEAD")) whole.resize(whole.find("\r\n\r\n") + 4);
        put(fd, whole.substr(0, limit));
    }

    fs::path folder;
    std::string image;
};

TEST_F(Pull, AFileAppearsWhole) {
    CannedServer server([this](const std::string& head, int fd) { serve(head, fd); });
    EXPECT_EQ(pull(source(server)), sha3(image));
    EXPECT_TRUE(output() == image);
    EXPECT_EQ(files(), 1U);
}

TEST_F(Pull, ABrokenTransferIsGoneOnWith) {
    CannedServer server([this](const std::string& head, int fd) { serve(head, fd, size_t{1500} << 10); });
    EXPECT_EQ(pull(source(server)), sha3(image));
    EXPECT_TRUE(output() == image);
    EXPECT_EQ(server.requests().size(), 3U);
    EXPECT_THAT(server.requests()[1], HasSubstr("Range: bytes="));
}

TEST_F(Pull, TriesEndWhereItDoesNotAdvance) {
    CannedServer server([this](const std::string& head, int fd) { serve(head, fd, 5000); });
    EXPECT_NE(error_of(source(server)), "no error");
    EXPECT_EQ(server.requests().size(), 3U);
    EXPECT_EQ(files(), 1U);  // what has come is kept
    EXPECT_EQ(output(), "");
}

TEST_F(Pull, ALaterPullGoesOn) {
    bool whole = false;
    CannedServer server([&](const std::string& head, int fd) { serve(head, fd, whole ? SIZE_MAX : 5000); });
    EXPECT_NE(error_of(source(server)), "no error");
    whole = true;
    EXPECT_EQ(pull(source(server)), sha3(image));
    EXPECT_TRUE(output() == image);
    EXPECT_EQ(files(), 1U);
    EXPECT_THAT(server.requests().back(), HasSubstr("Range: bytes=14"));  // three times 5,000 less the heads
}

TEST_F(Pull, AUrlAloneGoesOnByItsETag) {
    bool whole = false;
    CannedServer server([&](const std::string& head, int fd) { serve(head, fd, whole ? SIZE_MAX : 5000); });
    const ImageSource url{server.url() + "/image", {}, 0, {}, {}};
    EXPECT_NE(error_of(url), "no error");
    whole = true;
    EXPECT_EQ(pull(url), sha3(image));
    EXPECT_TRUE(output() == image);
    EXPECT_THAT(server.requests().back(), AllOf(HasSubstr("Range: bytes="), HasSubstr("If-Range: \"abc\"")));
}

TEST_F(Pull, AServerWithoutRangesStartsAnew) {
    int count = 0;
    CannedServer server([&](const std::string&, int fd) { put(fd, answer(image).substr(0, count++ == 0 ? size_t{2} << 20 : SIZE_MAX)); });
    EXPECT_EQ(pull(source(server)), sha3(image));
    EXPECT_TRUE(output() == image);
}

TEST_F(Pull, AWrongHashIsNamedAndNothingStays) {
    CannedServer server([this](const std::string& head, int fd) { serve(head, fd); });
    ImageSource from = source(server);
    from.sha3 = sha3("another");
    EXPECT_THAT(error_of(from), AllOf(HasSubstr(server.url()), HasSubstr(sha3(image)), HasSubstr("not " + from.sha3)));
    EXPECT_EQ(files(), 0U);
}

TEST_F(Pull, WrongLengthsAreNamed) {
    CannedServer longer([this](const std::string&, int fd) { put(fd, answer(image + "x")); });
    EXPECT_THAT(error_of(source(longer)),
                HasSubstr("a file of " + std::to_string(image.size() + 1) + " bytes, not " + std::to_string(image.size())));
    CannedServer endless([this](const std::string&, int fd) {
        put(fd, "HTTP/1.1 200 OK\r\n\r\n");
        for (int i = 0; i < 100; i++)
            put(fd, image);
    });
    EXPECT_THAT(error_of(source(endless)), HasSubstr("more than " + std::to_string(image.size()) + " bytes"));
    CannedServer shorter([this](const std::string&, int fd) { put(fd, "HTTP/1.1 200 OK\r\n\r\n" + image.substr(0, 100)); });
    EXPECT_THAT(error_of(source(shorter)), HasSubstr("of " + std::to_string(image.size()) + " bytes"));
    CannedServer silent([](const std::string& head, int fd) {
        put(fd, head.starts_with("HEAD") ? "HTTP/1.1 200 OK\r\n\r\n" : "HTTP/1.1 200 OK\r\n\r\nabc");
    });
    EXPECT_THAT(error_of({silent.url(), {}, 0, {}, {}}), HasSubstr("does not say how long"));
    CannedServer huge([](const std::string& head, int fd) {
        put(fd, std::string("HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\n") + (head.starts_with("HEAD") ? "" : "abc"));
    });
    EXPECT_THAT(error_of({huge.url(), {}, 0, {}, {}}), HasSubstr("no room for it"));
    EXPECT_EQ(output(), "");
}

TEST_F(Pull, AnotherPartThanAskedForIsRefused) {
    bool first = true;
    CannedServer server([&](const std::string& head, int fd) {
        if (first) return first = false, serve(head, fd, size_t{2} << 20);
        put(fd, answer(image.substr(7),
                       "Content-Range: bytes 7-" + std::to_string(image.size() - 1) + "/" + std::to_string(image.size()) + "\r\n",
                       "206 Partial Content"));
    });
    EXPECT_THAT(error_of(source(server)), HasSubstr("another part than was asked for"));
}

TEST_F(Pull, AStatusIsSaid) {
    CannedServer server([](const std::string&, int fd) { put(fd, answer("no such image", "", "404 Not Found")); });
    EXPECT_THAT(error_of(source(server)), HasSubstr("status 404: no such image"));
    EXPECT_EQ(files(), 0U);
}

TEST_F(Pull, AFolderIsNotReplaced) {
    fs::create_directory(folder / "out");
    EXPECT_THAT(error_of({"http://127.0.0.1:1/x", {}, 0, {}, {}}), HasSubstr("it is a folder"));
}

TEST_F(Pull, ARegistryIsAsked) {
    std::string url;
    CannedServer server([&](const std::string&, int fd) {
        put(fd, answer(R"({"http":")" + url + R"(/d","https":"https://x/d","sha3":")" + sha3(image) + R"(","size":)" +
                       std::to_string(image.size()) + "}"));
    });
    url = server.url();
    const ImageSource by_tag = registry::resolve_image("me/app:1.0", url);
    EXPECT_EQ(by_tag.url, url + "/d");
    EXPECT_EQ(by_tag.sha3, sha3(image));
    EXPECT_EQ(by_tag.size, image.size());
    EXPECT_EQ(by_tag.tag, "me/app:1.0");
    EXPECT_EQ(by_tag.file_name, "app-1.0.gvmi");
    EXPECT_THAT(server.requests()[0], HasSubstr("GET /v1/image/info?tag=me%2Fapp%3A1.0&dev=true "));
    EXPECT_EQ(registry::resolve_image("sha3:" + sha3(image), url).sha3, sha3(image));
    EXPECT_THAT(server.requests()[1], HasSubstr("GET /v1/image/info?hash=" + sha3(image) + "&dev=true "));
    EXPECT_THAT(message_of([&] { (void)registry::resolve_image(sha3("other"), url); }), HasSubstr("not " + sha3("other")));
}

TEST_F(Pull, UrlsAndPackagesNeedNoRegistry) {
    EXPECT_EQ(registry::resolve_image("https://x.y/a/b%20c.gvmi?d#e", "http://127.0.0.1:1").file_name, "b-20c.gvmi");
    EXPECT_EQ(registry::resolve_image("http://x.y/", "http://127.0.0.1:1").file_name, "image.gvmi");
    EXPECT_EQ(registry::resolve_image("http://x.y/..", "http://127.0.0.1:1").file_name, "image.gvmi");
    const ImageSource package = registry::resolve_image("hash:sha3:" + sha3(image) + ":http://x.y/app.gvmi", "http://127.0.0.1:1");
    EXPECT_EQ(package.url, "http://x.y/app.gvmi");
    EXPECT_EQ(package.sha3, sha3(image));
    EXPECT_THAT(message_of([] { (void)registry::resolve_image("hash:sha3:12:http://x", "http://127.0.0.1:1"); }),
                HasSubstr("not a package"));
    EXPECT_THAT(message_of([] { (void)registry::resolve_image("no-user", "http://127.0.0.1:1"); }), HasSubstr("has no user"));
}

TEST_F(Pull, AHostileInfoIsRefused) {
    std::string body;
    CannedServer server([&](const std::string&, int fd) { put(fd, answer(body)); });
    const std::string good = R"("http":"http://x/d","https":"https://x/d","sha3":")" + sha3(image) + "\"";
    const auto error = [&](const std::string& text) {
        body = text;
        return message_of([&] { (void)registry::resolve_image("me/app", server.url(), quick()); });
    };
    EXPECT_THAT(error("<html>"), HasSubstr("not JSON"));
    EXPECT_THAT(error("[]"), HasSubstr("no object"));
    EXPECT_THAT(error("{" + good + "}"), HasSubstr("no number \"size\""));
    EXPECT_THAT(error("{" + good + R"(,"size":-1})"), HasSubstr("no number \"size\""));
    EXPECT_THAT(error("{" + good + R"(,"size":0})"), HasSubstr("0 bytes"));
    EXPECT_THAT(error(R"({"http":"file:///etc/passwd","https":"x","sha3":"x","size":1})"), HasSubstr("not an http or https URL"));
    EXPECT_THAT(error(R"({"http":"http://x/\u009b2J","https":"x","sha3":"x","size":1})"), HasSubstr("not an http or https URL"));
    EXPECT_THAT(error(R"({"http":"http://x/d","https":"x","sha3":"../../x","size":1})"), HasSubstr("56 hex digits"));
}

}  // namespace
