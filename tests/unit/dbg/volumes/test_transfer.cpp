#include "dbg/volumes/transfer.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "base/fd.h"
#include "base/temporary_folder.h"
#include "canned_server.h"

namespace dbg {
namespace {
namespace fs = std::filesystem;
using testing::HasSubstr;

class TransferTest : public testing::Test {
protected:
    void SetUp() override {
        for (const char* name : {"volume", "staging"})
            fs::create_directory(folder_.path() / name);
        places_.volumes = {{"/golem/in", folder_.path() / "volume"}};
        places_.staging = folder_.path() / "staging";
    }

    void run(const std::string& from, const std::string& to) { transfer(from, to, places_, stop_); }
    std::string refusal(const std::string& from, const std::string& to) {
        try {
            run(from, to);
        } catch (const base::Error& e) {
            return e.what();
        }
        return "done";
    }
    std::string text_of(const std::string& name) { return base::read_file(folder_.path() / name, 10 << 20); }

    base::TemporaryFolder folder_;
    TransferPlaces places_;
    std::atomic<bool> stop_ = false;
};

TEST_F(TransferTest, FilesInAndOut) {
    std::ofstream(folder_.path() / "a file") << "text";
    run("file://" + folder_.path().string() + "/a%20file", "container:/golem/in/made/here");
    EXPECT_EQ(text_of("volume/made/here"), "text");
    EXPECT_EQ(fs::status(folder_.path() / "volume/made/here").permissions(), fs::perms(0644));
    run("container:/golem/in/made/here", "file:" + folder_.path().string() + "/out");
    EXPECT_EQ(text_of("out"), "text");
    run("container:/golem/in/made/here", "container:/golem/in/copy");
    EXPECT_EQ(text_of("volume/copy"), "text");
    EXPECT_TRUE(fs::is_empty(folder_.path() / "staging"));
}

TEST_F(TransferTest, HttpBothWays) {
    const std::string content(300'000, 'x');
    std::string uploaded;
    http_test::CannedServer server([&](const std::string& head, int fd) {
        if (head.starts_with("GET /data")) return http_test::put(fd, http_test::answer(content));
        if (head.starts_with("GET")) return http_test::put(fd, http_test::answer("no \x1b[2J", "", "404 Not Found"));
        uploaded = head;
        http_test::put(fd, http_test::answer(""));
    });
    run(server.url() + "/data", "container:/golem/in/data");
    EXPECT_EQ(text_of("volume/data"), content);
    run("container:/golem/in/data", server.url() + "/up");
    EXPECT_THAT(uploaded, testing::AllOf(testing::StartsWith("PUT /up HTTP/1.1"), HasSubstr("Content-Length: 300000")));
    const std::string missing = refusal(server.url() + "/none", "container:/golem/in/none");
    EXPECT_THAT(missing, HasSubstr("status 404: no \\x1b[2J"));
    EXPECT_FALSE(fs::exists(folder_.path() / "volume/none"));
}

TEST_F(TransferTest, LimitsAndStops) {
    std::ofstream(folder_.path() / "file") << std::string(2 << 20, 'x');
    const std::string from = "file:" + folder_.path().string() + "/file";
    places_.limit = 1 << 20;
    EXPECT_THAT(refusal(from, "container:/golem/in/x"), HasSubstr("more than 1.0 MiB"));
    places_.limit = 0;
    stop_ = true;
    EXPECT_THAT(refusal(from, "container:/golem/in/x"), HasSubstr("stopped"));
    EXPECT_TRUE(fs::is_empty(folder_.path() / "volume"));
}

TEST_F(TransferTest, StopsWhileAServerSaysNothing) {
    const http_test::CannedServer server([this](const std::string&, int fd) {
        stop_ = true;
        char byte = 0;
        (void)!::read(fd, &byte, 1);  // until the client goes
    });
    EXPECT_THAT(refusal(server.url() + "/x", "container:/golem/in/x"), HasSubstr("stopped"));
}

TEST_F(TransferTest, RefusalsSayWhy) {
    EXPECT_THAT(refusal("gftp://0x1/a", "container:/golem/in/a"), HasSubstr("gftp: is served by a requestor's yagna"));
    EXPECT_THAT(refusal("ftp://h/a", "container:/golem/in/a"), HasSubstr("scheme is not known"));
    EXPECT_THAT(refusal("plain", "container:/golem/in/a"), HasSubstr("no URL"));
    EXPECT_THAT(refusal("file:/etc/hostname", "file:/tmp/x"), HasSubstr("neither end is in the VM"));
    EXPECT_THAT(refusal("file:/etc/hostname", "container:/elsewhere/a"), HasSubstr("the only one is \"/golem/in\""));
    EXPECT_THAT(refusal("file:/etc/hostname", "container:/golem/in/"), HasSubstr("is a folder"));
    EXPECT_THAT(refusal("file:/etc", "container:/golem/in/a"), HasSubstr("is a folder"));
    EXPECT_THAT(refusal("file:/etc/hostname", "container:/golem/in/%2e%2e/%2e%2e/a"), HasSubstr(".."));
    EXPECT_THAT(refusal("file:/none\x1b[2J", "container:/golem/in/a"), HasSubstr("\\x1b"));
    EXPECT_THAT(refusal("file:/a%00b", "container:/golem/in/a"), HasSubstr("NUL"));
}

}  // namespace
}  // namespace dbg
