// What the tests of the guest share: an image of busybox and VMs that run it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "base/subprocess.h"
#include "guest_vm.h"

namespace guest_test {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

inline void check_program(const std::vector<std::string>& argv) {
    const base::Finished finished = base::run(argv);
    ASSERT_EQ(finished.code, 0) << argv[0] << ": " << finished.output;
}

class Guest : public testing::Test {
protected:
    static void SetUpTestSuite() {
        std::string pattern = (fs::temp_directory_path() / "guest-test-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        work_ = pattern;
        make_tree(work_ / "tree");
        pack("image", work_ / "tree");
    }
    static void TearDownTestSuite() { fs::remove_all(work_); }

    // Busybox under all its names, users, and some traps.
    static void make_tree(const fs::path& tree) {
        for (const char* folder : {"bin", "etc", "home/guest", "run", "data", "plain", "locked"})
            fs::create_directories(tree / folder);
        fs::copy_file("/bin/busybox", tree / "bin/busybox");
        for (const char* name :
             {"awk", "cat",       "chmod", "dd",   "df",    "echo",  "env",   "false", "grep", "head",   "hostname", "id",     "ifconfig",
              "ip",  "kill",      "ln",    "ls",   "mkdir", "mknod", "mount", "mv",    "ping", "printf", "ps",       "reboot", "rm",
              "sh",  "sha256sum", "sleep", "stat", "sync",  "tail",  "test",  "touch", "tr",   "true",   "umount",   "wc",     "yes"})
            fs::create_symlink("busybox", tree / "bin" / name);
        std::ofstream(tree / "etc/passwd") << "root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000::/home/guest:/bin/sh\n";
        std::ofstream(tree / "etc/group") << "root:x:0:\nstaff:x:50:other\nvideo:x:44:guest,other\nguest:x:1000:\n";
        fs::create_symlink("../run/stub-resolv.conf", tree / "etc/resolv.conf");
        fs::create_symlink("/run", tree / "var-run");
        std::ofstream(tree / "bin/plain-file") << "#!/bin/sh\n";
        std::ofstream(tree / "bin/lost") << "#!/nowhere/interpreter\n";
        std::ofstream(tree / "bin/garbage") << "\x01\x02not a program\n";
        for (const char* program : {"bin/lost", "bin/garbage"})
            fs::permissions(tree / program, fs::perms(0755));
        fs::permissions(tree / "bin/plain-file", fs::perms(0644));
        fs::permissions(tree / "locked", fs::perms(0700));
        std::ofstream(tree / "data/hidden") << "the image's\n";
    }

    // Makes NAME.sqfs with root's files, "/" and "/data" and "/home/guest" with marks of their own.
    static void pack(const std::string& name, const fs::path& tree) {
        const fs::path tar = work_ / "tree.tar";
        check_program({"tar", "--owner=0", "--group=0", "--numeric-owner", "-C", tree, "--exclude=./data", "-cf", tar, "."});
        check_program({"tar", "--owner=1000", "--group=50", "--numeric-owner", "--mode=0750", "-C", tree, "-rf", tar, "./data"});
        check_program({"/bin/sh", "-c", "exec sqfstar -quiet -no-progress -root-mode 0711 \"$1\" < \"$2\"", "sh", image(name), tar});
    }

    static fs::path image(const std::string& name) { return work_ / (name + ".sqfs"); }

    static fs::path make_disk(const std::string& name, const char* size) {
        fs::path path = work_ / (name + ".ext4");
        check_program({"mkfs.ext4", "-q", "-F", "-O", "^has_journal", path, size});
        return path;
    }

    static VmOptions options() {
        VmOptions options;
        options.disks.push_back({image("image"), "image", true});
        return options;
    }

    // A VM that is set up with the defaults.
    static std::unique_ptr<GuestVm> start(agent::Setup setup = GuestVm::setup(), VmOptions vm_options = options()) {
        auto vm = std::make_unique<GuestVm>(std::move(vm_options));
        vm->set_up(std::move(setup));
        return vm;
    }

    static inline fs::path work_;
};

}  // namespace guest_test
