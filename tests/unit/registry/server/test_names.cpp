#include "registry/server/names.h"

#include <gtest/gtest.h>

#include "registry/server/errors.h"

namespace registry::server {
namespace {

TEST(Names, AreLettersDigitsAndThreeMarks) {
    for (const std::string& name : {std::string("a"), std::string("A-b_c.9"), std::string("..a"), std::string(128, 'x')})
        EXPECT_NO_THROW(check_name(name, "tag")) << name;
    for (const std::string& name :
         {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("a b"), std::string("a:b"),
          std::string("\xc3\xa4"), std::string("a\0b", 3), std::string(129, 'x'), std::string("<b>")})
        EXPECT_THROW(check_name(name, "tag"), HttpError) << name;
}

TEST(Names, AnImagesNameHasThreeParts) {
    const Name name = parse_name("alice/tools:1.0");
    EXPECT_EQ(name.user + " " + name.repository + " " + name.tag, "alice tools 1.0");
    EXPECT_EQ(parse_name("alice/tools").tag, "latest");
    for (const char* text : {"", "tools", "alice/", "/tools", "alice/tools:", "alice/tools:1:2", "a/b/c", "a:b/c", "../..:x"})
        EXPECT_THROW(parse_name(text), HttpError) << text;
}

TEST(Escape, LeavesNothingThatHtmlReads) {
    EXPECT_EQ(escape_html("<a href=\"x\" id='y'>&</a>"), "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;&lt;/a&gt;");
}

}  // namespace
}  // namespace registry::server
