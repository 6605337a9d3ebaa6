#include "runtime/entrypoint.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/fd.h"
#include "runtime/temporary_folder.h"

namespace {

using Strings = std::vector<std::string>;

TEST(EntrypointSpec, EntrypointThenCmd) {
    gvmi::Config config;
    config.entrypoint = {"/usr/bin/python3", "-u"};
    config.cmd = {"main.py"};
    const runtime::ProcessSpec both = runtime::entrypoint_spec(config);
    EXPECT_EQ(both.bin, "/usr/bin/python3");
    EXPECT_EQ(both.args, (Strings{"python3", "-u", "main.py"}));
    config.entrypoint.clear();
    config.cmd = {"sh"};
    EXPECT_EQ(runtime::entrypoint_spec(config).bin, "sh");
    EXPECT_EQ(runtime::entrypoint_spec(config).args, Strings{"sh"});
    config.cmd.clear();
    EXPECT_THROW(runtime::entrypoint_spec(config), base::Error);
}

TEST(EntrypointOutput, IsWhatTheSupervisorParses) {
    const auto output = nlohmann::json::parse(runtime::entrypoint_output(7, {"sh", "-c"}));
    EXPECT_EQ(output, nlohmann::json::parse(R"({"start":null,"entrypoint":{"pid":7,"command":["sh","-c"]}})"));
}

TEST(EntrypointLog, KeepsTheBeginning) {
    const runtime::TemporaryFolder folder;
    runtime::EntrypointLog log(3, folder.path());
    EXPECT_EQ(log.pid(), 3U);
    const std::string block(1 << 20, 'x');
    for (int i = 0; i < 66; i++)
        log.write(block);
    log.write("more");
    EXPECT_EQ(std::filesystem::file_size(folder.path() / "entrypoint.log"), runtime::EntrypointLog::kLimit);
}

TEST(EntrypointLog, SurvivesAFolderThatCannotBeWritten) {
    runtime::EntrypointLog log(3, "/nonexistent");
    EXPECT_NO_THROW(log.write("x"));
}

}  // namespace
