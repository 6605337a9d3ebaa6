// What the tests of templates share: a cache of their own, VMs of the least size that is used, and where a VM has come from.
#pragma once

#include <gmock/gmock.h>

#include <memory>
#include <string>
#include <vector>

#include "fixture.h"

namespace system_test {

class Template : public SystemTest {
protected:
    fs::path cache() const { return workdir / "cache"; }
    fs::path store() const { return cache() / "templates"; }
    std::vector<std::string> options(std::vector<std::string> more = {}) const {
        more.insert(more.begin(), {"--cache-dir", cache(), "--mem-gib", "0.125"});
        return more;
    }

    void warm() {
        std::vector<std::string> argv{program("ya-runtime-vm"), "--accel", "tcg"};
        const std::vector<std::string> shape = options({"template", "warm"});
        argv.insert(argv.end(), shape.begin(), shape.end());
        const Output output = run_program(argv);
        ASSERT_EQ(output.code, 0) << output.err;
        EXPECT_THAT(output.err, testing::HasSubstr("the template has been made"));
        ASSERT_THAT(templates(), testing::SizeIs(1));
    }

    std::vector<fs::path> templates() const {
        std::error_code ignored;
        std::vector<fs::path> found;
        for (const auto& entry : fs::directory_iterator(store(), ignored))
            found.push_back(entry.path());
        return found;
    }

    std::string log() const { return text_of(workdir / "logs/ya-runtime-vm.log"); }

    static bool is_restored(pid_t qemu) {
        return text_of("/proc/" + std::to_string(qemu) + "/cmdline").find("-incoming") != std::string::npos;
    }

    // Starts a VM that must have come from a template, or not.
    std::unique_ptr<Runtime> start_expecting(bool restored, const std::vector<std::string>& more = {}) {
        auto runtime = start(options(more));
        EXPECT_EQ(is_restored(runtime->qemu_pid()), restored);
        return runtime;
    }

    // Starts a VM that must boot, with this in its log, and yet works.
    void expect_boot(const std::string& logged) {
        auto runtime = start_expecting(false);
        EXPECT_EQ(runtime->sh("echo up").out, "up\n");
        EXPECT_THAT(log(), testing::HasSubstr(logged));
        EXPECT_EQ(runtime->shutdown(), 0);
    }
};

}  // namespace system_test
