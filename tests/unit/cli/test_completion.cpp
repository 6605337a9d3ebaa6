#include "cli/completion.h"

#include <gmock/gmock.h>

#include "declared_program.h"

namespace cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

DeclaredCommand program() {
    return declared(DeclaredProgram().app, "make-it");
}

TEST(BashCompletion, ListsEachCommandsWords) {
    const std::string script = bash_completion(program());
    EXPECT_THAT(script, HasSubstr("'')\n      options='-h --help -o --output --kind --count --from --fast --no-fast'\n"
                                  "      valued='-o --output --kind --count --from'\n      commands='show run deep' prefix='' ;;\n"));
    EXPECT_THAT(script, HasSubstr("'run')\n      options='-h --help'\n      valued=''\n      commands='' prefix=yes ;;\n"));
    EXPECT_THAT(script, HasSubstr("'deep down')\n"));
    EXPECT_THAT(script, Not(HasSubstr("hidden")));
    EXPECT_THAT(script, Not(HasSubstr("secret")));
    EXPECT_THAT(script, HasSubstr("\ncomplete -F _make_it make-it\n"));
}

TEST(BashCompletion, OffersValues) {
    const std::string script = bash_completion(program());
    EXPECT_THAT(script, HasSubstr("':-o' | ':--output') compopt -o default ;;\n"));
    EXPECT_THAT(script, HasSubstr("':--kind') offered='round flat' ;;\n"));
    EXPECT_THAT(script, HasSubstr("':--from') compopt -o dirnames ;;\n"));
    EXPECT_THAT(script, HasSubstr("'show:--kind') offered='round flat' ;;\n"));
    EXPECT_THAT(script, HasSubstr("'show:0') offered='all'; compopt -o default ;;\n"));
    EXPECT_THAT(script, HasSubstr("'show:'[0-9]*) offered=$(make-it ps --quiet 2> /dev/null) ;;\n"));
    EXPECT_THAT(script, Not(HasSubstr("'run:")));
}

TEST(ZshCompletion, QuotesDescriptions) {
    const std::string script = zsh_completion(program());
    EXPECT_THAT(script, StartsWith("#compdef make-it\n"));
    EXPECT_THAT(script, HasSubstr("'(--kind)--kind=[It'\\''s \\[the\\] kind: of \\\\ thing]:round|flat:(round flat)'"));
    EXPECT_THAT(script, HasSubstr("'(-o --output)-o+[The file to write]:FILE:_files'"));
    EXPECT_THAT(script, HasSubstr("'*--from=[Repeatable]:DIR:_files -/'"));
    EXPECT_THAT(script, HasSubstr("'(--fast --no-fast)--no-fast[Whether it is fast]'"));
}

TEST(ZshCompletion, HasAFunctionForEachCommand) {
    const std::string script = zsh_completion(program());
    EXPECT_THAT(script, HasSubstr("    'show:Shows things'\n"));
    EXPECT_THAT(script, HasSubstr("        show) _make_it_show && result=0 ;;\n"));
    EXPECT_THAT(script, HasSubstr("_make_it_deep_down() {\n"));
    EXPECT_THAT(script, HasSubstr("'*:MORE:_make_it_vms'"));
    EXPECT_THAT(script, HasSubstr("_make_it_run() {\n  _arguments -s -S -A '-*' :"));
}

TEST(FishCompletion, HasALineForEachWord) {
    const std::string script = fish_completion(program());
    EXPECT_THAT(script, HasSubstr("complete -c make-it -f\n"));
    EXPECT_THAT(script, HasSubstr("complete -c make-it -n '_make_it_at \\':*\\'' -s o -l output -r -F -d 'The file to write'\n"));
    EXPECT_THAT(script, HasSubstr(" -l kind -x -a 'round flat' -d 'It\\'s [the] kind: of \\\\ thing'\n"));
    EXPECT_THAT(script, HasSubstr("complete -c make-it -n '_make_it_at \\':0\\'' -a show -d 'Shows things'\n"));
    EXPECT_THAT(script, HasSubstr("complete -c make-it -n '_make_it_at \\'show:0\\'' -F -a 'all'\n"));
    EXPECT_THAT(script, HasSubstr("complete -c make-it -n '_make_it_at \\'run:0\\'' -s h -l help"));
    EXPECT_THAT(script, HasSubstr("            case ':show' ':run' ':deep' 'deep:down'\n"));
}

}  // namespace
}  // namespace cli
