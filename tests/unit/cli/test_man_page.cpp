#include "cli/man_page.h"

#include <gmock/gmock.h>

#include "declared_program.h"

namespace cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string page() {
    return man_page(declared(DeclaredProgram().app, "make-it"), "1.2.3");
}

TEST(ManPage, BeginsWithWhatListsOfPagesShow) {
    EXPECT_THAT(page(), StartsWith(".TH MAKE\\-IT 1 \"\" \"gvmkit 1.2.3\" \"User Commands\"\n"
                                   ".SH NAME\nmake\\-it \\- makes things. Quickly\n"
                                   ".SH SYNOPSIS\n\\fBmake\\-it\\fR [\\fIOPTIONS\\fR] \\fICOMMAND\\fR\n"
                                   ".SH DESCRIPTION\nMakes things. Quickly.\n.PP\nAnd a remark.\n.SH OPTIONS\n"));
}

TEST(ManPage, DescribesOptions) {
    EXPECT_THAT(page(), HasSubstr(".TP\n\\fB\\-o\\fR, \\fB\\-\\-output\\fR \\fIFILE\\fR\nThe file to write. Variable: MAKE_OUTPUT.\n"));
    EXPECT_THAT(page(), HasSubstr("\nIt\\(aqs [the] kind: of \\e thing. Not with \\-\\-from.\n"));
    EXPECT_THAT(page(), HasSubstr("\nHow many. From 1 to 9. Default: 3.\n"));
    EXPECT_THAT(page(), HasSubstr(".SS Speed\n.TP\n\\fB\\-\\-fast\\fR, \\fB\\-\\-no\\-fast\\fR\nWhether it is fast.\n"));
    EXPECT_THAT(page(), Not(HasSubstr("hidden")));
}

TEST(ManPage, DescribesCommands) {
    EXPECT_THAT(
        page(),
        HasSubstr(".SS make\\-it show\n\\fBmake\\-it show\\fR [\\fIOPTIONS\\fR] \\fIWHAT\\fR [\\fIMORE\\fR...]\n.PP\nShows things.\n"));
    EXPECT_THAT(page(), HasSubstr("\\fBmake\\-it run\\fR [\\fIOPTIONS\\fR] \\fINAME\\fR \\fICMD\\fR...\n"));
    EXPECT_THAT(page(), HasSubstr(".SS make\\-it deep down\n"));
    EXPECT_THAT(page(), HasSubstr("\nExample:\n.PP\n.RS\n.nf\nmake\\-it run one\n.fi\n.RE\n"));
    EXPECT_THAT(page(), Not(HasSubstr("secret")));
}

TEST(ManPage, EndsWithVariablesExitStatusAndExamples) {
    EXPECT_THAT(page(),
                HasSubstr(".SH ENVIRONMENT\n.TP\n\\fBMAKE_OUTPUT\\fR\nCounts where \\fB\\-\\-output\\fR is not given.\n.SH EXIT STATUS\n"));
    EXPECT_THAT(page(), testing::EndsWith(".SH EXAMPLES\n.PP\n.RS\n.nf\nmake\\-it \\-o \\(aqa b\\(aq\n.fi\n.RE\n"));
}

TEST(ManPage, TakesNoTextForARequest) {
    CLI::App app("Takes text.");
    bool flag = false;
    app.add_flag("--quoted", flag, "'quoted' \\fBtext");
    app.add_flag("--dotted", flag, ".SH is no heading");
    const std::string text = man_page(declared(app, "it"), "1");
    EXPECT_THAT(text, HasSubstr("\n\\&.SH is no heading.\n"));
    EXPECT_THAT(text, HasSubstr("\n\\(aqquoted\\(aq \\efBtext.\n"));
}

}  // namespace
}  // namespace cli
