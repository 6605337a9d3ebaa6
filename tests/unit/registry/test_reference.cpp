#include "registry/reference.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace {

using registry::parse_full_reference;
using registry::parse_reference;

TEST(Reference, HasUserRepositoryAndTag) {
    const auto full = parse_reference("user-test/repo_te.st:version-1.3.5");
    EXPECT_EQ(full.user, "user-test");
    EXPECT_EQ(full.repository, "repo_te.st");
    EXPECT_EQ(full.tag, "version-1.3.5");
    EXPECT_EQ(full.text(), "user-test/repo_te.st:version-1.3.5");
    EXPECT_EQ(parse_reference("user/repo").text(), "user/repo:latest");
    EXPECT_EQ(parse_reference("repo:1").text(), "repo:1");
    EXPECT_EQ(parse_full_reference("a/b").text(), "a/b:latest");
}

TEST(Reference, WhatIsNoneIsRefused) {
    for (const char* text :
         {"", "^", "..", ":tag", "repo:", "repo:1,2", "a:b:c", "a/b/c", "/a", "a/", "a /b", "usß/rep", "a/..", "../a", "a/b:..", "a\n/b"}) {
        EXPECT_THROW((void)parse_reference(text), base::Error) << text;
    }
    EXPECT_THROW((void)parse_reference(std::string(200, 'a')), base::Error);
    EXPECT_THROW((void)parse_full_reference("repo:1"), base::Error);
}

}  // namespace
