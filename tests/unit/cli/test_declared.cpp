#include "cli/declared.h"

#include <gmock/gmock.h>

#include "declared_program.h"

namespace cli {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

DeclaredCommand read() {
    return declared(DeclaredProgram().app, "make-it");
}

TEST(Declared, HasOptionsWithNamesAndValues) {
    const DeclaredCommand program = read();
    ASSERT_EQ(program.options.size(), 6u);  // --help, and not what is hidden
    const DeclaredOption& output = program.options[1];
    EXPECT_THAT(output.names, ElementsAre("-o", "--output"));
    EXPECT_EQ(output.description, "The file to write");
    EXPECT_EQ(output.value, "FILE");
    EXPECT_EQ(output.variable, "MAKE_OUTPUT");
    EXPECT_TRUE(output.offers.files);
    EXPECT_FALSE(output.repeated);
    EXPECT_EQ(program.options[0].value, "");
}

TEST(Declared, ReadsWhatValidatorsSay) {
    const DeclaredCommand program = read();
    EXPECT_THAT(program.options[2].offers.words, ElementsAre("round", "flat"));
    EXPECT_EQ(program.options[2].value, "round|flat");
    EXPECT_FALSE(program.options[2].offers.files);
    EXPECT_EQ(program.options[3].range, "1 to 9");
    EXPECT_EQ(program.options[3].preset, "3");
    EXPECT_THAT(program.options[3].offers.words, IsEmpty());
}

TEST(Declared, KnowsWhatIsRepeatedAndExcluded) {
    const DeclaredOption from = read().options[4];
    EXPECT_TRUE(from.repeated);
    EXPECT_TRUE(from.offers.folders);
    EXPECT_THAT(from.excludes, ElementsAre("--kind"));
}

TEST(Declared, HasBothNamesOfASwitch) {
    const DeclaredOption fast = read().options[5];
    EXPECT_THAT(fast.names, ElementsAre("--fast", "--no-fast"));
    EXPECT_EQ(fast.value, "");
    EXPECT_EQ(fast.group, "Speed");
}

TEST(Declared, HasSubCommandsAtAnyDepth) {
    const DeclaredCommand program = read();
    ASSERT_EQ(program.commands.size(), 3u);  // without the hidden one
    EXPECT_TRUE(program.needs_command);
    EXPECT_EQ(program.commands[0].path, "make-it show");
    EXPECT_EQ(program.commands[2].commands.at(0).path, "make-it deep down");
    EXPECT_TRUE(program.commands[1].runs_program);
}

TEST(Declared, InheritsOptionsOnlyWhereTheyFallThrough) {
    const DeclaredCommand program = read();
    EXPECT_EQ(program.commands[0].inherited.size(), 5u);  // all but --help
    EXPECT_THAT(program.commands[1].inherited, IsEmpty());
}

TEST(Declared, TellsArgumentsFromOptions) {
    const std::vector<DeclaredOption> arguments = read().commands[0].arguments;
    ASSERT_EQ(arguments.size(), 2u);
    EXPECT_THAT(arguments[0].names, ElementsAre("WHAT"));
    EXPECT_THAT(arguments[0].offers.words, ElementsAre("all"));
    EXPECT_TRUE(arguments[0].offers.files);
    EXPECT_TRUE(arguments[0].required);
    EXPECT_FALSE(arguments[0].repeated);
    EXPECT_TRUE(arguments[1].offers.vms);
    EXPECT_TRUE(arguments[1].repeated);
}

TEST(Declared, OffersFilesForAnArgumentWhoseNameSaysSo) {
    CLI::App app;
    std::string text;
    app.add_option("IMAGE", text);
    EXPECT_TRUE(declared(app, "it").arguments[0].offers.files);
}

}  // namespace
}  // namespace cli
