#include "runtime/entrypoint.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

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

}  // namespace
