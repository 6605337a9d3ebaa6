// ya-runtime-dbg as the tests start it.
#pragma once

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "fixture.h"

namespace system_test {

class DbgTest : public SystemTest {
protected:
    // ya-runtime-dbg with these options before, and those after --, --accel tcg among them.
    std::vector<std::string> dbg(const std::vector<std::string>& options, const std::vector<std::string>& runtime_options = {}) const {
        std::vector<std::string> argv{program("ya-runtime-dbg"), "--task-package", task_package};
        argv.insert(argv.end(), options.begin(), options.end());
        argv.insert(argv.end(), {"--", "--accel", "tcg"});
        argv.insert(argv.end(), runtime_options.begin(), runtime_options.end());
        return argv;
    }

    // Lines on standard input.
    Output pipe_in(const std::string& lines, std::vector<std::string> argv) {
        std::ofstream(workdir / "lines") << lines;
        std::vector<std::string> shell{"/bin/sh", "-c", "cat lines | \"$@\"", "sh"};
        shell.insert(shell.end(), argv.begin(), argv.end());
        return run_program(shell);
    }

    void SetUp() override {
        SystemTest::SetUp();
        fs::create_directory(workdir / "tmp");
        (void)::setenv("TMPDIR", (workdir / "tmp").c_str(), 1);
        (void)::setenv("XDG_STATE_HOME", (workdir / "state").c_str(), 1);
        (void)::setenv("TERM", "xterm", 1);
    }
};

}  // namespace system_test
