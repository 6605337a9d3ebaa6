#include "vm/confinement.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <regex>

#include "base/error.h"
#include "base/fd.h"
#include "base/subprocess.h"

namespace {

// What /proc says of a child that is confined.
std::string status_of_child(bool namespaces) {
    const vm::Confinement confinement(
        {.execute = {"/bin/cat", "/lib64/ld-linux-x86-64.so.2"}, .read = {"/lib", "/lib64", "/usr/lib", "/etc/ld.so.cache"}}, namespaces);
    auto [out, in] = base::make_pipe();
    base::Command child{.argv = {"/bin/cat"}, .environment = {}, .fds = {{out.get(), 0}}};
    child.namespaces = confinement.start();
    child.before_exec = [&confinement] { return confinement.enter(); };
    base::Child process = base::spawn(child);
    const std::string folder = "/proc/" + std::to_string(process.pid());
    std::string text = base::read_file(folder + "/status", 16384) + base::read_file(folder + "/limits", 16384);
    in.reset();  // which ends it
    EXPECT_EQ(process.wait(), 0);
    return text;
}

bool has_line(const std::string& text, const std::string& pattern) {
    return std::regex_search(text, std::regex("(^|\n)" + pattern + "(\n|$)"));
}

TEST(Confinement, GivesNoNewPrivilegesNoCoreAndAFilter) {
    const std::string text = status_of_child(false);
    EXPECT_TRUE(has_line(text, "NoNewPrivs:\t1")) << text;
    EXPECT_TRUE(has_line(text, "Seccomp:\t2")) << text;
    EXPECT_TRUE(has_line(text, "Max core file size +0 +0 +bytes *")) << text;
}

TEST(Confinement, TellsWhatIsMissing) {
    EXPECT_EQ(vm::confinement_gaps(true, ""), "");
    EXPECT_EQ(vm::confinement_gaps(true, "Operation not permitted"), "namespaces (Operation not permitted)");
    EXPECT_EQ(vm::confinement_gaps(false, "No space left on device"),
              "Landlock (this kernel has none, or only its first version) and namespaces (No space left on device)");
    const std::string here = vm::confinement_gaps();
    bool namespaces = true;
    try {
        EXPECT_TRUE(has_line(status_of_child(true), "NSpid:\t[0-9]+\t1"));
    } catch (const base::SystemError&) {
        namespaces = false;
    }
    EXPECT_EQ(here.find("namespaces") == std::string::npos, namespaces) << here;
}

}  // namespace
