#include "registry/server/audit_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/temporary_folder.h"

namespace registry::server {
namespace {

using testing::MatchesRegex;

std::vector<nlohmann::json> lines_of(const std::string& text) {
    std::vector<nlohmann::json> lines;
    for (size_t start = 0; start < text.size();) {
        const size_t end = text.find('\n', start);
        if (end == std::string::npos) throw base::Error("a line without an end");
        if (end > start) lines.push_back(base::parse_json(text.substr(start, end - start)));
        start = end + 1;
    }
    return lines;
}

class AuditLogTest : public testing::Test {
protected:
    std::vector<nlohmann::json> lines(const std::string& name = "audit") const {
        return lines_of(base::read_file(folder_.path() / name, 1 << 20));
    }

    base::TemporaryFolder folder_;
    std::filesystem::path file_ = folder_.path() / "audit";
};

TEST_F(AuditLogTest, ALineForEachEvent) {
    AuditLog log(file_);
    log.tell({.name = "tag", .details = {{"user", "alice"}, {"size", 17}}});
    const std::string from_right{'\xe2', '\x80', '\xae'};  // U+202E, which turns what follows around
    log.tell({.name = "note", .details = {{"note", fmt::format("<\"\n\x1b\xff{}{:a<1000}", from_right, "")}}});
    const std::string text = base::read_file(file_, 1 << 20);
    for (const char c : text)
        EXPECT_TRUE(c == '\n' || (c >= ' ' && c <= '~'));
    const auto all = lines();
    ASSERT_EQ(all.size(), 2u);
    EXPECT_THAT(all[0]["time"].get<std::string>(), MatchesRegex("20..-..-..T..:..:..\\....Z"));
    EXPECT_EQ(all[0]["event"], "tag");
    EXPECT_EQ(all[0]["size"], 17);
    EXPECT_TRUE(all[1]["note"].get<std::string>().starts_with(fmt::format("<\"\n\x1b\xef\xbf\xbd{}aaa", from_right)));
    EXPECT_LT(all[1]["note"].get<std::string>().size(), 410u);
    struct stat file {};
    ASSERT_EQ(::stat(file_.c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 0777 & ~0640u, 0u);
}

TEST_F(AuditLogTest, SeveralWriteAtOnce) {
    constexpr size_t kWriters = 4;
    std::vector<std::thread> writers;
    writers.reserve(kWriters);
    for (size_t i = 0; i < kWriters; i++) {
        writers.emplace_back([this] {
            AuditLog log(file_);
            for (int n = 0; n < 200; n++)
                log.tell({.name = "event", .details = {{"note", std::string(300, 'a')}}});
        });
    }
    for (std::thread& writer : writers)
        writer.join();
    EXPECT_EQ(lines().size(), 800u);
}

TEST_F(AuditLogTest, FollowsARotation) {
    AuditLog log(file_);
    log.tell({.name = "first"});
    std::filesystem::rename(file_, folder_.path() / "audit.1");
    log.tell({.name = "second"});
    log.reopen();
    log.tell({.name = "third"});
    EXPECT_EQ(lines("audit.1").size(), 2u);
    ASSERT_EQ(lines().size(), 1u);
    EXPECT_EQ(lines()[0]["event"], "third");
    // Where it cannot be opened it stays where it was.
    std::filesystem::rename(file_, folder_.path() / "audit.2");
    std::filesystem::create_directory(file_);
    log.reopen();
    log.tell({.name = "fourth"});
    EXPECT_EQ(lines("audit.2").size(), 2u);
    EXPECT_EQ(log.lost(), 0u);
}

TEST_F(AuditLogTest, NeverWaitsAndTellsWhatIsMissing) {
    ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
    EXPECT_THROW(AuditLog{file_}, base::Error);  // nobody reads
    const base::UniqueFd reader = base::open_file(file_, O_RDONLY | O_NONBLOCK);
    AuditLog log(file_);
    const Event event{.name = "event", .details = {{"note", std::string(300, 'a')}}};
    for (int n = 0; n < 1000; n++)
        log.tell(event);
    EXPECT_GT(log.lost(), 0u);
    std::string read(1 << 20, '\0');
    const ssize_t first = ::read(reader.get(), read.data(), read.size());
    ASSERT_GT(first, 0);
    const auto before = lines_of(read.substr(0, static_cast<size_t>(first)));
    EXPECT_EQ(before.size() + log.lost(), 1000u);
    log.tell(event);
    const ssize_t second = ::read(reader.get(), read.data(), read.size());
    ASSERT_GT(second, 0);
    const auto after = lines_of(read.substr(0, static_cast<size_t>(second)));
    ASSERT_EQ(after.size(), 2u);
    EXPECT_EQ(after[0]["event"], "lost");
    EXPECT_EQ(after[0]["count"], log.lost());
    EXPECT_EQ(after[1]["event"], "event");
}

TEST_F(AuditLogTest, AFullDiskEndsNothing) {
    AuditLog log("/dev/full");
    log.tell({.name = "event"});
    log.tell({.name = "event"});
    EXPECT_EQ(log.lost(), 2u);
}

}  // namespace
}  // namespace registry::server
