#include "base/log.h"

#include <gtest/gtest.h>

namespace {

namespace level = spdlog::level;

TEST(LogLevel, IsWhatPeopleWriteInRustLog) {
    const auto of = [](std::string_view text) { return base::log_level(text, "ya-runtime-vm"); };
    EXPECT_EQ(of(""), level::info);
    EXPECT_EQ(of("debug"), level::debug);
    EXPECT_EQ(of("WARN"), level::warn);
    EXPECT_EQ(of("off"), level::off);
    EXPECT_EQ(of("ya_runtime_vm=debug,warn"), level::debug);
    EXPECT_EQ(of("warn,ya_runtime_vm=debug"), level::debug);
    EXPECT_EQ(of("warn, ya-runtime-vm = trace"), level::trace);
    EXPECT_EQ(of("ya_runtime_vm"), level::trace);
    EXPECT_EQ(of("ya_runtime=error,debug"), level::err);
    EXPECT_EQ(of("error,tokio=debug"), level::err);
    EXPECT_EQ(of("info/hello"), level::info);
    EXPECT_EQ(of("debug/x,trace"), level::debug);
}

TEST(LogLevel, IsInfoWhereNothingIsSaidOfUs) {
    for (const char* text : {"tokio=debug", "ya_runtime_vm=loud", "=", ",,", "ya_runtime_vm_other=trace"})
        EXPECT_EQ(base::log_level(text, "ya-runtime-vm"), level::info) << text;
}

}  // namespace
