// ya-runtime-dbg as the tests start it.
#pragma once

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "fixture.h"

namespace system_test {

class DbgTest : public SystemTest {
protected:
    // A child of this process by its program's name; base::Error where there is none.
    static pid_t child_named(pid_t parent, const std::string& name) {
        const std::string pid = std::to_string(parent);
        std::istringstream children(text_of("/proc/" + pid + "/task/" + pid + "/children"));
        for (pid_t child = 0; children >> child;) {
            if (text_of("/proc/" + std::to_string(child) + "/comm") == name + "\n") return child;
        }
        throw base::Error(pid + " has no child " + name);
    }

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
