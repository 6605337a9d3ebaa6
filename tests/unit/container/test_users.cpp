#include "container/users.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using testing::ElementsAre;

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/bash\n"
    "# a comment\n"
    "broken:x:notanumber:0::/:\n"
    "short:x:5\n"
    "guest:x:1000:1001:Guest,,,:/home/guest:/bin/sh\n"
    "guest:x:1:1:second of the name:/:/bin/sh\n"
    "homeless:x:1002:1002:::\n"
    "2000:x:3000:3001:a name that looks like a number:/home/n:/bin/sh";
constexpr const char* kGroup =
    "root:x:0:\n"
    "wheel:x:10:root,guest\n"
    "broken:x:z:guest\n"
    "video:x:44:guest\n"
    "guestx:x:45:guestx\n"
    "staff:x:50:\n";

container::Identity find(std::string_view user) {
    const container::UserLookup found = container::find_user(user, kPasswd, kGroup);
    EXPECT_EQ(found.error, "");
    return found.identity;
}

std::string error(std::string_view user) {
    return container::find_user(user, kPasswd, kGroup).error;
}

TEST(FindUser, NoneIsRoot) {
    const container::Identity user = find("");
    EXPECT_EQ(user.uid, 0U);
    EXPECT_EQ(user.gid, 0U);
    EXPECT_EQ(user.home, "/root");
    EXPECT_THAT(user.groups, ElementsAre(0, 10));
}

TEST(FindUser, NameWithItsGroups) {
    const container::Identity user = find("guest");
    EXPECT_EQ(user.uid, 1000U);
    EXPECT_EQ(user.gid, 1001U);
    EXPECT_EQ(user.home, "/home/guest");
    EXPECT_THAT(user.groups, ElementsAre(1001, 10, 44));
}

TEST(FindUser, NumberThatHasAnEntry) {
    const container::Identity user = find("1000");
    EXPECT_EQ(user.gid, 1001U);
    EXPECT_EQ(user.home, "/home/guest");
    EXPECT_THAT(user.groups, ElementsAre(1001, 10, 44));
}

TEST(FindUser, NumberThatHasNone) {
    const container::Identity user = find("4242");
    EXPECT_EQ(user.uid, 4242U);
    EXPECT_EQ(user.gid, 0U);
    EXPECT_EQ(user.home, "/");
    EXPECT_THAT(user.groups, ElementsAre(0));
    EXPECT_EQ(find("2000").uid, 2000U) << "a number is a uid, not a name";
}

TEST(FindUser, GivenGroupTakesThePlaceOfAllOthers) {
    EXPECT_EQ(find("guest:staff").gid, 50U);
    EXPECT_THAT(find("guest:staff").groups, ElementsAre(50));
    EXPECT_EQ(find("guest:77").gid, 77U);
    EXPECT_EQ(find("1000:50").gid, 50U);
    EXPECT_EQ(find("4242:4243").gid, 4243U);
    EXPECT_EQ(find(":50").uid, 0U);
    EXPECT_EQ(find(":50").gid, 50U);
    EXPECT_EQ(find("guest:").gid, 1001U);
}

TEST(FindUser, AnEmptyHomeIsTheRoot) {
    EXPECT_EQ(find("homeless").home, "/");
}

TEST(FindUser, ErrorsNameTheFileAndTheLine) {
    EXPECT_EQ(error("who"), "/etc/passwd has no user \"who\"");
    EXPECT_EQ(error("guest:who"), "/etc/group has no group \"who\"");
    EXPECT_EQ(error("-1"), "/etc/passwd has no user \"-1\"");
    EXPECT_EQ(error("4294967295"), "/etc/passwd has no user \"4294967295\"");
    EXPECT_EQ(error("broken"), "/etc/passwd line 3: the uid \"notanumber\" is not a number");
    EXPECT_EQ(error("guest:broken"), "/etc/group line 3: the gid \"z\" is not a number");
}

// What hand-written files of small images have; each as runc reads it.
TEST(FindUser, LinesMayLackFields) {
    const auto lookup = [](std::string_view user, std::string_view passwd, std::string_view group = "") {
        const container::UserLookup found = container::find_user(user, passwd, group);
        EXPECT_EQ(found.error, "");
        return found.identity;
    };
    EXPECT_EQ(lookup("app", "app:x:1000:1000").uid, 1000U);
    EXPECT_EQ(lookup("app", "app:x:1000:1000").home, "/");
    EXPECT_EQ(lookup("app", "app:x:1000").gid, 0U);
    EXPECT_EQ(lookup("app", "app").uid, 0U);
    EXPECT_EQ(lookup("app:staff", "app:x:1000:1000", "staff:x:50").gid, 50U);
    EXPECT_EQ(lookup("1000", "app:x:1000:7").gid, 7U);
    EXPECT_EQ(lookup("0", "empty:x:\n").gid, 0U);
}

TEST(FindUser, LinesMayHaveBlanksAroundThemAndNoEnd) {
    const container::UserLookup found =
        container::find_user("app", "\n \t\n# app:x:1:1\n  app:x:1000:1001::/home/app:/bin/sh\t\r\n", "\r\n video:x:44:app\r\n");
    EXPECT_EQ(found.error, "");
    EXPECT_EQ(found.identity.uid, 1000U);
    EXPECT_EQ(found.identity.home, "/home/app");
    EXPECT_THAT(found.identity.groups, ElementsAre(1001, 44));
}

TEST(FindUser, NumbersAsGoReadsThem) {
    EXPECT_EQ(find("+4242").uid, 4242U);
    EXPECT_EQ(find("0042").uid, 42U);
    EXPECT_EQ(container::find_user("big", "big:x:4294967294:+5", "").identity.uid, 4294967294U);
    EXPECT_EQ(container::find_user("big", "big:x:4294967294:+5", "").identity.gid, 5U);
    EXPECT_EQ(container::find_user("big", "big:x:4294967295:5", "").error, "/etc/passwd line 1: the uid \"4294967295\" is not a number");
}

TEST(FindUser, ListsEachGroupOnce) {
    EXPECT_THAT(container::find_user("a", "a:x:1:2", "two:x:2:a\nmore:x:3:a,b\nagain:x:3:a\nbad:x:z:a").identity.groups, ElementsAre(2, 3));
}

TEST(FindUser, WorksWithoutFiles) {
    EXPECT_EQ(container::find_user("", "", "").identity.home, "/");
    EXPECT_EQ(container::find_user("7:8", "", "").identity.gid, 8U);
    EXPECT_NE(container::find_user("guest", "", "").error, "");
}

// A hostile file must not cost more than its size.
TEST(FindUser, ReadsALongFileOnce) {
    std::string passwd;
    while (passwd.size() < size_t{4} << 20)
        passwd += ":::::\n";
    EXPECT_NE(container::find_user("guest", passwd, passwd).error, "");
}

// 16 MiB of groups that all list the user; if each were looked for among those before it, this would take many minutes.
TEST(FindUser, ListsAMillionGroups) {
    std::string group;
    size_t count = 0;
    for (; group.size() < container::kMaxUserFile - 16; count++)
        group += "::" + std::to_string(count + 1) + ":a\n";
    EXPECT_GT(count, 1000000U);
    EXPECT_EQ(container::find_user("a", "a:x:1:0", group).identity.groups.size(), count + 1);
}

TEST(FindUser, ErrorsAreShortWhateverTheFilesSay) {
    const std::string longest(size_t{1} << 20, 'z');
    EXPECT_LT(error(longest).size(), 400U);
    EXPECT_LT(error("guest:" + longest).size(), 400U);
    EXPECT_LT(container::find_user("a", "a:x:" + longest, "").error.size(), 400U);
    EXPECT_LT(container::find_user("1:a", "", "a:x:" + longest).error.size(), 400U);
}

}  // namespace
