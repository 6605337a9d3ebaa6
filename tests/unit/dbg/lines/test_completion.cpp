#include "dbg/lines/completion.h"

#include <gmock/gmock.h>

#include "base/subprocess.h"
#include "base/temporary_folder.h"

namespace dbg {
namespace {
using testing::ElementsAre;

std::vector<std::string> paths(const std::vector<Candidate>& candidates) {
    std::vector<std::string> result;
    result.reserve(candidates.size());
    for (const Candidate& candidate : candidates)
        result.push_back(candidate.path);
    return result;
}

PartialWord at_end(std::string_view line) {
    return word_before(line, line.size());
}

std::string complete(std::string_view line, const std::vector<Candidate>& candidates) {
    const PartialWord word = at_end(line);
    const std::string text = completed(word, candidates);
    return text.empty() ? "" : std::string(line.substr(0, word.begin)) + text;
}

TEST(Completion, WordBeforeTheCursor) {
    EXPECT_EQ(at_end("ls /et").text, "/et");
    EXPECT_EQ(at_end("ls /et").begin, 3u);
    EXPECT_EQ(word_before("ls /etc", 5).text, "/e");
    EXPECT_EQ(at_end("ls ").text, "");
    EXPECT_EQ(at_end("ls ").begin, 3u);
    EXPECT_EQ(at_end("a;b >c").text, "c");
    EXPECT_EQ(at_end("x --file=/a").text, "/a");
    EXPECT_EQ(at_end("ls a\\ b").text, "a b");
    EXPECT_EQ(at_end("ls \"a b").text, "a b");
    EXPECT_EQ(at_end("ls \"a b").quote, '"');
    EXPECT_EQ(at_end("ls 'a\\b").text, "a\\b");
    EXPECT_EQ(at_end("ls 'a b'").quote, 0);
    EXPECT_EQ(at_end("ls \"a\\\"b").text, "a\"b");
    EXPECT_EQ(at_end("").begin, 0u);
}

TEST(Completion, OneFileIsCompletedAndAFolderStaysOpen) {
    EXPECT_EQ(complete("cat /etc/pass", {{"/etc/passwd"}}), "cat /etc/passwd ");
    EXPECT_EQ(complete("ls /et", {{"/etc/", true}}), "ls /etc/");
    EXPECT_EQ(complete("ls '/a b", {{"/a b c"}}), "ls '/a b c' ");
    EXPECT_EQ(complete("ls /a", {{"/a b;c$"}}), "ls /a\\ b\\;c\\$ ");
    EXPECT_EQ(complete("ls \"/a", {{"/a\"$"}}), "ls \"/a\\\"\\$\" ");
    EXPECT_EQ(complete("ls '/a", {{"/a'b"}}), "ls '/a'\\''b' ");
}

TEST(Completion, SeveralShareABeginning) {
    EXPECT_EQ(complete("ls l", {{"lib/", true}, {"lib64/", true}}), "ls lib");
    EXPECT_EQ(complete("ls lib", {{"lib/", true}, {"lib64/", true}}), "");
    EXPECT_EQ(complete("ls x", {{"x\xc3\xa4"}, {"x\xc3\xb6"}}), "");  // not half a character
    EXPECT_EQ(complete("ls x", {}), "");
}

TEST(Completion, HostileNamesReachNeitherTheLineNorTheTerminal) {
    EXPECT_EQ(complete("ls x", {{"x\x1b[2J"}}), "");
    EXPECT_EQ(complete("ls x", {{"xy\n"}}), "");
    EXPECT_EQ(shown_name({.path = "d/x\x1b]0;title\a"}), "x\\x1b]0;title\\x07");
    EXPECT_EQ(shown_name({.path = "d/e/", .folder = true}), "e/");
    EXPECT_LT(shown_name({.path = std::string(5000, 'x')}).size(), 500u);
}

TEST(Completion, AnswersAreChecked) {
    using std::string_view_literals::operator""sv;
    EXPECT_THAT(paths(parse_candidates("/a/c\0/a/b/\0/other\0/a/c\0/a/cut"sv, "/a/")), ElementsAre("/a/b/", "/a/c"));
    EXPECT_THAT(paths(parse_candidates("no NUL", "")), ElementsAre());
    std::string flood;
    for (int i = 0; i < 100'000; i++)
        flood.append("x").append(std::to_string(i)).push_back('\0');
    EXPECT_EQ(parse_candidates(flood, "x").size(), kMaxCandidates);
}

TEST(Completion, ShellAnswersTheCommand) {
    const base::TemporaryFolder folder;
    const std::string top = folder.path();
    ASSERT_EQ(base::run({"/bin/sh", "-c", "cd \"$0\" && mkdir 'a dir' && touch 'a*b' 'ax' 'a\nb' b && ln -s nowhere alink", top}).code, 0);
    const base::Finished answer = base::run(completion_command(top + "/a"));
    EXPECT_THAT(paths(parse_candidates(answer.output, top + "/a")),
                ElementsAre(top + "/a\nb", top + "/a dir/", top + "/a*b", top + "/alink", top + "/ax"));
    EXPECT_EQ(base::run(completion_command(top + "/a*")).output, top + "/a*b" + '\0');
    EXPECT_EQ(base::run(completion_command(top + "/none")).output, "");
}

}  // namespace
}  // namespace dbg
