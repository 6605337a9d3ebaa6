#include "init/users.h"

#include <gmock/gmock.h>

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

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

init::Identity find(std::string_view user) {
    const init::Result<init::Identity> found = init::find_user(user, kPasswd, kGroup);
    EXPECT_TRUE(found.ok()) << found.status.text;
    return found.value;
}

std::string error(std::string_view user) {
    const init::Result<init::Identity> found = init::find_user(user, kPasswd, kGroup);
    EXPECT_EQ(found.status.code, agent::Error::BAD_REQUEST);
    return found.status.text;
}

TEST(FindUser, NoneIsRoot) {
    const init::Identity user = find("");
    EXPECT_EQ(user.uid, 0U);
    EXPECT_EQ(user.gid, 0U);
    EXPECT_EQ(user.home, "/root");
    EXPECT_THAT(user.groups, ElementsAre(10));
}

TEST(FindUser, NameWithItsGroups) {
    const init::Identity user = find("guest");
    EXPECT_EQ(user.uid, 1000U);
    EXPECT_EQ(user.gid, 1001U);
    EXPECT_EQ(user.home, "/home/guest");
    EXPECT_THAT(user.groups, ElementsAre(10, 44));
}

TEST(FindUser, NumberThatHasAnEntry) {
    const init::Identity user = find("1000");
    EXPECT_EQ(user.gid, 1001U);
    EXPECT_EQ(user.home, "/home/guest");
    EXPECT_THAT(user.groups, ElementsAre(10, 44));
}

TEST(FindUser, NumberThatHasNone) {
    const init::Identity user = find("4242");
    EXPECT_EQ(user.uid, 4242U);
    EXPECT_EQ(user.gid, 0U);
    EXPECT_EQ(user.home, "/");
    EXPECT_THAT(user.groups, IsEmpty());
    EXPECT_EQ(find("2000").uid, 2000U) << "a number is a uid, not a name";
}

TEST(FindUser, GivenGroupTakesThePlaceOfAllOthers) {
    EXPECT_EQ(find("guest:staff").gid, 50U);
    EXPECT_THAT(find("guest:staff").groups, IsEmpty());
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

TEST(FindUser, UnknownNamesAreErrors) {
    EXPECT_EQ(error("who"), "the image's User \"who\": its /etc/passwd has no user \"who\"");
    EXPECT_EQ(error("guest:who"), "the image's User \"guest:who\": its /etc/group has no group \"who\"");
    EXPECT_EQ(error("-1"), "the image's User \"-1\": its /etc/passwd has no user \"-1\"");
    EXPECT_EQ(error("4294967295"), "the image's User \"4294967295\": its /etc/passwd has no user \"4294967295\"");
    EXPECT_EQ(error("broken"), "the image's User \"broken\": its /etc/passwd has no user \"broken\"");
}

TEST(FindUser, WorksWithoutFiles) {
    EXPECT_EQ(init::find_user("", "", "").value.home, "/");
    EXPECT_EQ(init::find_user("7:8", "", "").value.gid, 8U);
    EXPECT_FALSE(init::find_user("guest", "", "").ok());
}

}  // namespace
