// The real kernel and initramfs under QEMU, driven by the agent's client.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "base/subprocess.h"
#include "guest_vm.h"

namespace guest_test {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string file_text(const fs::path& path) {
    return base::read_file(path, 1 << 20);
}

void run_program(const std::vector<std::string>& argv) {
    const base::Finished finished = base::run(argv);
    ASSERT_EQ(finished.code, 0) << argv[0] << ": " << finished.output;
}

// The CPU time of a process so far, in seconds.
double cpu_seconds(pid_t pid) {
    std::istringstream stat(file_text("/proc/" + std::to_string(pid) + "/stat"));
    std::string skipped;
    for (int field = 1; field < 14; field++)
        stat >> skipped;
    double user = 0;
    double system = 0;
    stat >> user >> system;
    return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
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
        run_program({"tar", "--owner=0", "--group=0", "--numeric-owner", "-C", tree, "--exclude=./data", "-cf", tar, "."});
        run_program({"tar", "--owner=1000", "--group=50", "--numeric-owner", "--mode=0750", "-C", tree, "-rf", tar, "./data"});
        run_program({"/bin/sh", "-c", "exec sqfstar -quiet -no-progress -root-mode 0711 \"$1\" < \"$2\"", "sh", image(name), tar});
    }

    static fs::path image(const std::string& name) { return work_ / (name + ".sqfs"); }

    static fs::path make_disk(const std::string& name, const char* size) {
        fs::path path = work_ / (name + ".ext4");
        run_program({"mkfs.ext4", "-q", "-F", "-O", "^has_journal", path, size});
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

    static fs::path work_;
};

fs::path Guest::work_;

// ---- Processes

TEST_F(Guest, RunsAProgramAndDeliversItsOutputAndExitCode) {
    const auto vm = start();
    const auto process = vm->sh("echo out; echo err >&2; exit 42");
    EXPECT_EQ(process->out, "out\n");
    EXPECT_EQ(process->err, "err\n");
    EXPECT_EQ(process->exited->code(), 42);
    EXPECT_EQ(vm->run({"true"})->exited->code(), 0);
    EXPECT_EQ(vm->sh("kill -SEGV $$")->exited->code(), 139);
    const auto killed = vm->sh("kill -KILL $$");
    EXPECT_EQ(killed->exited->code(), 137);
    EXPECT_FALSE(killed->exited->out_of_memory());
}

TEST_F(Guest, GivesArgumentsAsTheyAre) {
    const auto vm = start();
    agent::Exec exec = GuestVm::exec({"/bin/sh", "-c", R"(printf "%s|" "$0" "$@")", "zero", "", "two words", "\xff\xfe"});
    EXPECT_EQ(vm->run(exec)->out, "zero||two words|\xff\xfe|");
    exec = GuestVm::exec({"/bin/busybox", "x"});
    exec.set_args(0, "echo");
    EXPECT_EQ(vm->run(exec)->out, "x\n") << "argv[0] is not the path";
}

TEST_F(Guest, RefusesWhatCannotBeRunAndSaysWhy) {
    const auto vm = start();
    const auto refusal = [&](const char* bin, const char* work_dir = "") {
        agent::Exec exec = GuestVm::exec({bin});
        exec.set_work_dir(work_dir);
        const agent::RequestError error = vm->refused(exec);
        return std::pair(error.code(), std::string(error.what()));
    };
    using agent::Error;
    EXPECT_EQ(refusal("/bin/nothing"), std::pair(Error::NOT_FOUND, std::string("cannot run /bin/nothing: No such file or directory")));
    EXPECT_EQ(refusal("nothing"), std::pair(Error::NOT_FOUND, std::string("cannot run nothing: no such program in PATH")));
    EXPECT_EQ(refusal("/bin/lost"),
              std::pair(Error::NOT_FOUND, std::string("cannot run /bin/lost: the interpreter that it names is missing")));
    EXPECT_EQ(refusal("/bin/plain-file"), std::pair(Error::BAD_REQUEST, std::string("cannot run /bin/plain-file: Permission denied")));
    EXPECT_EQ(refusal("plain-file"), std::pair(Error::BAD_REQUEST, std::string("cannot run plain-file: Permission denied")));
    EXPECT_EQ(refusal("/bin/garbage"), std::pair(Error::BAD_REQUEST, std::string("cannot run /bin/garbage: Exec format error")));
    EXPECT_EQ(refusal("/bin"), std::pair(Error::BAD_REQUEST, std::string("cannot run /bin: Permission denied")));
    EXPECT_EQ(refusal("/bin/true", "/etc/passwd"),
              std::pair(Error::BAD_REQUEST, std::string("cannot run /bin/true: the working directory /etc/passwd: Not a directory")));
    EXPECT_EQ(refusal("/bin/true", "/etc/passwd/x"),
              std::pair(Error::BAD_REQUEST, std::string("cannot run /bin/true: the working directory /etc/passwd/x: Not a directory")));
    // Nothing follows an error, and the agent goes on: the client would have closed the channel otherwise.
    EXPECT_EQ(vm->sh("echo well")->out, "well\n");
    EXPECT_FALSE(vm->closed());
}

TEST_F(Guest, RefusesRequestsBeforeSetup) {
    GuestVm vm(options());
    EXPECT_THAT(vm.refused(GuestVm::exec({"/bin/true"})).what(), HasSubstr("has not been set up"));
}

TEST_F(Guest, GivesTheImagesEnvironment) {
    agent::Setup setup = GuestVm::setup();
    for (const char* entry : {"COLOUR=deep red", "EMPTY=", "TWICE=1", "TWICE=2"})
        setup.add_env(entry);
    setup.set_user("guest");
    const auto vm = start(setup);
    EXPECT_EQ(vm->run({"env"})->out,
              "COLOUR=deep red\nEMPTY=\nTWICE=2\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nHOME=/home/guest\n"
              "HOSTNAME=golem\n");
}

TEST_F(Guest, LooksUpProgramsInTheImagesPath) {
    agent::Setup setup = GuestVm::setup();
    setup.add_env("PATH=/nowhere:/etc/passwd:/locked:/opt");
    const auto vm = start(setup);
    EXPECT_EQ(vm->refused(GuestVm::exec({"echo"})).code(), agent::Error::NOT_FOUND);
    ASSERT_EQ(vm->run({"/bin/sh", "-c", "/bin/mkdir /opt && /bin/ln -s /bin/busybox /opt/echo"})->exited->code(), 0);
    EXPECT_EQ(vm->run({"echo", "found"})->out, "found\n");
}

TEST_F(Guest, RunsAsTheImagesUser) {
    agent::Setup setup = GuestVm::setup();
    setup.set_user("guest");
    setup.set_working_dir("/home/guest/made/by/us");
    const auto vm = start(setup);
    EXPECT_EQ(vm->run({"id"})->out, "uid=1000(guest) gid=1000(guest) groups=44(video)\n");
    const auto status = vm->run({"grep", "-E", "^(Uid|Gid|Cap(Prm|Eff|Inh|Amb))", "/proc/self/status"});
    EXPECT_EQ(status->out,
              "Uid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
              "CapEff:\t0000000000000000\nCapAmb:\t0000000000000000\n");
    EXPECT_EQ(vm->run({"/bin/sh", "-c", "pwd; stat -c '%a %u' ."})->out, "/home/guest/made/by/us\n755 0\n");
    EXPECT_NE(vm->run({"cat", "/proc/1/environ"})->exited->code(), 0) << "init's memory is not for everybody";
}

TEST_F(Guest, UnknownUserFailsTheSetupAndIsNamed) {
    GuestVm vm(options());
    agent::Setup setup = GuestVm::setup();
    setup.set_user("nobody-knows");
    try {
        vm.set_up(setup);
        FAIL();
    } catch (const agent::RequestError& error) {
        EXPECT_THAT(error.what(), HasSubstr("its /etc/passwd has no user \"nobody-knows\""));
    }
}

TEST_F(Guest, StartsProcessesInTheStateThatProgramsExpect) {
    const auto vm = start();
    const auto status = vm->run({"cat", "/proc/self/status"});
    EXPECT_THAT(status->out, HasSubstr("SigBlk:\t0000000000000000\n"));
    EXPECT_THAT(status->out, HasSubstr("SigIgn:\t0000000000000000\n"));
    EXPECT_THAT(status->out, HasSubstr("SigCgt:\t0000000000000000\n"));
    EXPECT_THAT(status->out, HasSubstr("Umask:\t0022\n"));
    const size_t bounding = status->out.find("CapBnd:\t");
    ASSERT_NE(bounding, std::string::npos);
    const uint64_t capabilities = std::stoull(status->out.substr(bounding + 8, 16), nullptr, 16);
    EXPECT_EQ(capabilities & (1ULL << 22), 0U) << "CAP_SYS_BOOT";
    EXPECT_NE(capabilities & (1ULL << 21), 0U) << "CAP_SYS_ADMIN";
    EXPECT_EQ(vm->run({"cat", "/proc/self/oom_score_adj"})->out, "0\n");
    // The fourth is the directory that ls reads.
    const auto descriptors = vm->run({"ls", "/proc/self/fd"});
    EXPECT_EQ(descriptors->out, "0\n1\n2\n3\n");
    const auto links = vm->run({"ls", "-l", "/proc/self/fd"});
    EXPECT_THAT(links->out, HasSubstr("0 -> /dev/null\n"));
    EXPECT_THAT(links->out, HasSubstr("1 -> pipe:["));
    EXPECT_THAT(links->out, HasSubstr("2 -> pipe:["));
    // pid, process group and session are the same: fields 1, 5 and 6.
    EXPECT_EQ(vm->run({"awk", "{ print ($1 == $5 && $1 == $6) }", "/proc/self/stat"})->out, "1\n");
}

TEST_F(Guest, KillsTheWholeGroupAndKnowsItsProcesses) {
    const auto vm = start();
    const auto process = vm->begin({"/bin/sh", "-c", "sleep 1000 & echo started; wait"});
    vm->until([&] { return process->out == "started\n"; });
    vm->kill(process->number, SIGTERM);
    vm->finish(process);
    EXPECT_EQ(process->exited->code(), 128 + SIGTERM);
    EXPECT_EQ(vm->sh("ps | grep -c '[s]leep 1000'")->out, "0\n");
    const auto code_of = [&](uint64_t number, int signal) {
        try {
            vm->kill(number, signal);
        } catch (const agent::RequestError& error) {
            return static_cast<int>(error.code());
        }
        return -1;
    };
    EXPECT_EQ(code_of(process->number, SIGKILL), agent::Error::NOT_FOUND);
    EXPECT_EQ(code_of(4711, SIGKILL), agent::Error::NOT_FOUND);
    const auto other = vm->begin({"sleep", "1000"});
    EXPECT_EQ(code_of(other->number, 1000), agent::Error::BAD_REQUEST);
    vm->kill(other->number, SIGKILL);
    vm->finish(other);
    EXPECT_EQ(other->exited->code(), 137);
    EXPECT_FALSE(other->exited->out_of_memory());
}

TEST_F(Guest, ReapsOrphans) {
    const auto vm = start();
    ASSERT_EQ(vm->sh("for i in 1 2 3 4 5 6 7 8 9 10; do (sleep 0.1 &) ; done")->exited->code(), 0);
    // They end in their own time; a zombie would stay.
    EXPECT_EQ(vm->sh("while ps | grep -q '[s]leep 0.1'; do sleep 0.05; done; ps -o stat | grep -c Z")->out, "0\n");
}

TEST_F(Guest, RunsManyProcessesAtOnce) {
    const auto vm = start();
    constexpr size_t kCount = 300;
    std::vector<std::shared_ptr<Process>> processes;
    for (size_t i = 0; i < kCount; i++)
        processes.push_back(vm->begin({"/bin/sh", "-c", "echo " + std::to_string(i) + "; exec sleep 1000"}));
    EXPECT_EQ(vm->sh("echo one more")->out, "one more\n");
    for (size_t i = 0; i < kCount; i++)
        vm->kill(processes[i]->number, SIGKILL);
    for (size_t i = 0; i < kCount; i++) {
        vm->finish(processes[i]);
        EXPECT_TRUE(processes[i]->out.empty() || processes[i]->out == std::to_string(i) + "\n") << processes[i]->out;
    }
}

// ---- Output

TEST_F(Guest, DeliversLargeOutputOnBothStreamsWhole) {
    const auto vm = start();
    const char* script = "yes out | head -c 20000000 & yes error | head -c 10000001 >&2 & wait";
    const auto process = vm->sh(script);
    ASSERT_EQ(process->out.size(), 20000000U);
    ASSERT_EQ(process->err.size(), 10000001U);
    for (size_t i = 0; i < process->out.size(); i++)
        ASSERT_EQ(process->out[i], "out\n"[i % 4]) << i;
    for (size_t i = 0; i < process->err.size(); i++)
        ASSERT_EQ(process->err[i], "error\n"[i % 6]) << i;
}

TEST_F(Guest, SendsNoMoreThanItsCreditAndTheExitAfterAllOutput) {
    const auto vm = start();
    agent::Exec exec = GuestVm::exec({"/bin/sh", "-c", "head -c 100000 /dev/zero; echo e >&2; exit 3"});
    exec.set_credit(1000);
    const auto process = vm->begin(exec, false);
    vm->until([&] { return process->out.size() == 1000 && process->err == "e\n"; });
    // Other requests are served meanwhile, and show that time has passed.
    EXPECT_EQ(vm->sh("sleep 0.5; echo other")->out, "other\n");
    EXPECT_EQ(process->out.size(), 1000U);
    EXPECT_FALSE(process->exited) << "99000 bytes are still to come";
    vm->client().grant(process->number, agent::STDOUT, 98999);
    vm->until([&] { return process->out.size() == 99999; });
    EXPECT_EQ(vm->sh("echo other")->out, "other\n");
    EXPECT_FALSE(process->exited);
    vm->client().grant(process->number, agent::STDOUT, 1);
    vm->finish(process);
    EXPECT_EQ(process->out.size(), 100000U);
    EXPECT_EQ(process->exited->code(), 3);
}

TEST_F(Guest, DoesNotWaitForABackgroundChildThatHoldsThePipes) {
    const auto vm = start();
    const auto process = vm->sh("sleep 1000 & echo done");
    EXPECT_EQ(process->out, "done\n");
    // What such a child writes later is dropped: it neither blocks nor gets SIGPIPE.
    const auto parent = vm->sh("(sleep 0.3; head -c 3000000 /dev/zero; echo $? > /run/written; echo late >&2) & echo early");
    EXPECT_EQ(parent->out, "early\n");
    EXPECT_EQ(vm->sh("while ! test -s /run/written; do sleep 0.05; done; cat /run/written")->out, "0\n");
    EXPECT_EQ(parent->out, "early\n");
}

TEST_F(Guest, AFloodDoesNotDelayOthers) {
    const auto vm = start();
    std::vector<std::shared_ptr<Process>> floods;
    for (int i = 0; i < 4; i++) {
        floods.push_back(vm->begin({"yes", "flood"}));
        floods.back()->keep = false;
    }
    for (int i = 0; i < 20; i++) {
        const auto begin = std::chrono::steady_clock::now();
        EXPECT_EQ(vm->run({"echo", "here"})->out, "here\n");
        EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
    }
    // One that is given no more credit stands still; the others go on.
    floods[0]->grant = false;
    const size_t before = floods[1]->out_bytes;
    vm->until([&] { return floods[1]->out_bytes > before + (10 << 20); });
    for (const auto& flood : floods)
        vm->kill(flood->number, SIGKILL);
    floods[0]->grant = true;
    vm->client().grant(floods[0]->number, agent::STDOUT, 16 << 20);
    for (const auto& flood : floods)
        vm->finish(flood);
}

// ---- The file systems

TEST_F(Guest, MakesTheMountsOfAContainer) {
    const auto vm = start();
    const auto mounts = vm->run({"awk", "{ print $2, $3 }", "/proc/mounts"});
    for (const char* mount : {"/ overlay", "/proc proc", "/sys sysfs", "/sys/fs/cgroup cgroup2", "/dev devtmpfs", "/dev/pts devpts",
                              "/dev/shm tmpfs", "/dev/mqueue mqueue"})
        EXPECT_THAT(mounts->out, HasSubstr(std::string(mount) + "\n"));
    EXPECT_THAT(mounts->out, Not(HasSubstr("squashfs"))) << "what lies below the root is nobody's business";
    EXPECT_EQ(vm->run({"stat", "-c", "%a %u %g", "/"})->out, "711 0 0\n");
    EXPECT_EQ(vm->run({"stat", "-c", "%a", "/tmp"})->out, "1777\n");
    EXPECT_EQ(vm->run({"stat", "-c", "%a", "/dev/shm"})->out, "1777\n");
    EXPECT_EQ(vm->sh("for d in null zero full random urandom tty ptmx fuse net/tun; do test -c /dev/$d && stat -c %a /dev/$d; done")->out,
              "666\n666\n666\n666\n666\n666\n666\n666\n666\n");
    EXPECT_EQ(vm->sh("echo x | cat /dev/stdin; cat /dev/fd/0; echo y > /dev/stdout; echo z > /dev/stderr")->out, "x\ny\n");
    EXPECT_THAT(vm->run({"cat", "/sys/fs/cgroup/cgroup.controllers"})->out, HasSubstr("memory"));
}

TEST_F(Guest, TheRootTakesWritesAndTheImagesDirectoriesCanBeRenamed) {
    const auto vm = start();
    EXPECT_EQ(
        vm->sh("echo new > /bin/new && cat /bin/new && rm /bin/lost && ! test -e /bin/lost && mv /home /home2 && test -d /home2/guest")
            ->exited->code(),
        0);
    // The in-memory root is 64 MiB; more is refused and the VM lives.
    EXPECT_THAT(vm->sh("dd if=/dev/zero of=/big bs=1M count=100")->err, HasSubstr("No space left on device"));
    EXPECT_EQ(vm->run({"rm", "/big"})->exited->code(), 0);
    EXPECT_EQ(vm->sh("echo alive")->out, "alive\n");
}

TEST_F(Guest, PutsTheRootOnADisk) {
    VmOptions vm_options = options();
    vm_options.disks.push_back({make_disk("root", "300M"), "scratch", false});
    agent::Setup setup = GuestVm::setup();
    setup.set_root_disk("scratch");
    const auto vm = start(setup, std::move(vm_options));
    EXPECT_EQ(vm->run({"stat", "-c", "%a", "/"})->out, "711\n");
    EXPECT_EQ(vm->sh("head -c 100000000 /dev/urandom > /big && sha256sum /big > /sum && sync && echo 3 > /proc/sys/vm/drop_caches && "
                     "sha256sum -c /sum")
                  ->out,
              "/big: OK\n");
    EXPECT_THAT(vm->sh("dd if=/dev/zero of=/bigger bs=1M count=300")->err, HasSubstr("No space left on device"));
    EXPECT_EQ(vm->sh("echo alive")->out, "alive\n");
}

TEST_F(Guest, LaysSeveralImagesOverEachOther) {
    fs::create_directories(work_ / "top/etc");
    std::ofstream(work_ / "top/etc/group") << "root:x:0:\ntop:x:77:guest\n";
    std::ofstream(work_ / "top/only-here") << "top\n";
    run_program({"mksquashfs", work_ / "top", image("top"), "-noappend", "-quiet", "-all-root", "-root-mode", "0755"});
    VmOptions vm_options = options();
    vm_options.disks.push_back({image("top"), "top", true});
    agent::Setup setup = GuestVm::setup("top");
    setup.add_images("image");
    setup.set_user("guest");
    const auto vm = start(setup, std::move(vm_options));
    EXPECT_EQ(vm->run({"cat", "/only-here"})->out, "top\n");
    EXPECT_EQ(vm->run({"id", "-G"})->out, "1000 77\n");
    EXPECT_EQ(vm->run({"stat", "-c", "%a", "/"})->out, "755\n");
}

TEST_F(Guest, AMissingDiskIsNamed) {
    GuestVm vm(options());
    try {
        vm.set_up(GuestVm::setup("absent"));
        FAIL();
    } catch (const agent::RequestError& error) {
        EXPECT_STREQ(error.what(), "there is no disk with the serial \"absent\"");
    }
}

TEST_F(Guest, WritesTheFilesInEtc) {
    const auto vm = start();
    EXPECT_EQ(vm->run({"hostname"})->out, "golem\n");
    EXPECT_EQ(vm->run({"cat", "/etc/hostname"})->out, "golem\n");
    EXPECT_THAT(vm->run({"cat", "/etc/hosts"})->out, StartsWith("127.0.0.1\tlocalhost\n"));
    EXPECT_THAT(vm->run({"cat", "/etc/hosts"})->out, EndsWith("127.0.1.1\tgolem\n"));
    EXPECT_EQ(vm->run({"cat", "/etc/resolv.conf"})->out, "nameserver 1.1.1.1\nnameserver 8.8.8.8\n");
    EXPECT_EQ(vm->sh("test -L /etc/resolv.conf; echo $?; test -e /run/stub-resolv.conf; echo $?")->out, "1\n1\n")
        << "a symbolic link is replaced, not followed";
    EXPECT_EQ(vm->log(), "");
}

// An image with a program and nothing else, or with a file in the place of /etc.
TEST_F(Guest, StartsPoorImages) {
    for (const bool etc_is_file : {false, true}) {
        const fs::path tree = work_ / (etc_is_file ? "odd" : "bare");
        fs::create_directories(tree);
        fs::copy_file("/bin/busybox", tree / "busybox");
        if (etc_is_file) std::ofstream(tree / "etc") << "no directory\n";
        run_program({"mksquashfs", tree, image("poor"), "-noappend", "-quiet", "-all-root"});
        VmOptions vm_options;
        vm_options.disks.push_back({image("poor"), "image", true});
        const auto vm = start(GuestVm::setup(), std::move(vm_options));
        EXPECT_EQ(vm->run({"/busybox", "echo", "hello"})->out, "hello\n");
        EXPECT_EQ(vm->run({"/busybox", "stat", "-c", "%a", "/tmp"})->out, "1777\n");
        if (etc_is_file)
            vm->until([&] { return vm->log().find("/etc") != std::string::npos; });
        else
            EXPECT_EQ(vm->run({"/busybox", "cat", "/etc/hostname"})->out, "golem\n");
    }
}

TEST_F(Guest, MountsVolumesOfAllKinds) {
    const fs::path share = work_ / "share";
    fs::create_directories(share / "one");
    fs::create_directories(share / "two");
    std::ofstream(share / "one/from-host") << "host\n";
    VmOptions vm_options = options();
    vm_options.share = share;
    vm_options.disks.push_back({make_disk("volume", "16M"), "storage-0", false});
    agent::Setup setup = GuestVm::setup();
    setup.set_user("guest");
    setup.set_share("volumes");
    const auto add = [&](const char* path) {
        setup.add_volumes()->set_path(path);
        return setup.mutable_volumes(setup.volumes_size() - 1);
    };
    add("/data")->set_shared("one");
    add("/var-run/deep/down")->set_shared("two");  // a symbolic link to /run, and what is missing there
    add("/data/inner")->set_ram(4 << 20);
    agent::Volume* disk = add("/disk");
    disk->set_disk("storage-0");
    disk->set_errors("remount-ro");
    const auto vm = start(setup, std::move(vm_options));

    EXPECT_EQ(vm->run({"stat", "-c", "%a %u %g", "/data"})->out, "750 1000 50\n") << "as the image has it";
    EXPECT_EQ(vm->run({"stat", "-c", "%a %u %g", "/run/deep/down"})->out, "755 1000 1000\n") << "the image's User";
    EXPECT_EQ(vm->run({"stat", "-c", "%a %u %g", "/run/deep"})->out, "755 0 0\n");
    EXPECT_EQ(vm->run({"stat", "-c", "%a %u %g", "/data/inner"})->out, "755 1000 1000\n");
    EXPECT_EQ(vm->run({"ls", "/data"})->out, "from-host\ninner\n") << "what the image held there is hidden";
    EXPECT_EQ(vm->run({"cat", "/data/from-host"})->out, "host\n");
    EXPECT_EQ(vm->run({"ls", "-A", "/disk"})->out, "") << "no lost+found";
    EXPECT_EQ(
        vm->sh("echo guest > /data/from-guest && echo x > /run/deep/down/x && echo i > /data/inner/i && echo p > /disk/p")->exited->code(),
        0);
    EXPECT_EQ(file_text(share / "one/from-guest"), "guest\n");
    EXPECT_EQ(file_text(share / "two/x"), "x\n");
    EXPECT_FALSE(fs::exists(share / "one/inner/i"));
    std::ofstream(share / "one/later") << "later\n";
    EXPECT_EQ(vm->run({"cat", "/data/later"})->out, "later\n");
    const auto mounts = vm->run({"grep", "/disk", "/proc/mounts"});
    EXPECT_THAT(mounts->out, HasSubstr("errors=remount-ro"));
    EXPECT_THAT(vm->sh("dd if=/dev/zero of=/data/inner/big bs=1M count=8")->err, HasSubstr("No space left"));
}

TEST_F(Guest, ASymlinkInTheImageDoesNotLeadAVolumeOut) {
    const fs::path tree = work_ / "links";
    fs::create_directories(tree);
    fs::copy_file("/bin/busybox", tree / "busybox");
    fs::create_symlink("../../../../../../x", tree / "up");
    fs::create_symlink("/loop", tree / "loop");
    run_program({"mksquashfs", tree, image("links"), "-noappend", "-quiet", "-all-root"});
    VmOptions vm_options;
    vm_options.disks.push_back({image("links"), "image", true});
    {
        agent::Setup setup = GuestVm::setup();
        agent::Volume* volume = setup.add_volumes();
        volume->set_path("/up/volume");
        volume->set_ram(1 << 20);
        VmOptions copy = vm_options.disks.empty() ? VmOptions() : VmOptions{{vm_options.disks[0]}, {}, {}, 256ULL << 20, 1};
        const auto vm = start(setup, std::move(copy));
        EXPECT_THAT(vm->run({"/busybox", "grep", "volume", "/proc/mounts"})->out, StartsWith("tmpfs /x/volume tmpfs"));
    }
    agent::Setup setup = GuestVm::setup();
    agent::Volume* volume = setup.add_volumes();
    volume->set_path("/loop/volume");
    volume->set_ram(1 << 20);
    GuestVm vm(std::move(vm_options));
    try {
        vm.set_up(setup);
        FAIL();
    } catch (const agent::RequestError& error) {
        EXPECT_STREQ(error.what(), "cannot look up /loop/volume: Too many levels of symbolic links");
    }
}

// ---- Network

TEST_F(Guest, NamesAndConfiguresCards) {
    const auto card = [](const char* name, const char* mac) {
        const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
        EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
        EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), size), 0);  // to itself: nobody is there
        return vm::Card{name, mac, vm::Card::Kind::udp, base::UniqueFd(fd)};
    };
    VmOptions vm_options = options();
    // Against the kernel's own order.
    vm_options.cards.push_back(card("eth1", "90:13:00:00:00:02"));
    vm_options.cards.push_back(card("eth0", "90:13:00:00:00:01"));
    agent::Setup setup = GuestVm::setup();
    for (const char last : {'\1', '\2'}) {
        agent::Card* named = setup.add_cards();
        named->set_mac(std::string("\x90\x13\0\0\0", 5) + last);
        named->set_name(last == '\1' ? "eth0" : "eth1");
        named->set_mtu(last == '\1' ? 1220 : 65280);
    }
    const auto vm = start(setup, std::move(vm_options));
    EXPECT_EQ(vm->run({"cat", "/sys/class/net/eth0/address", "/sys/class/net/eth0/mtu"})->out, "90:13:00:00:00:01\n1220\n");
    EXPECT_EQ(vm->run({"cat", "/sys/class/net/eth1/address", "/sys/class/net/eth1/mtu"})->out, "90:13:00:00:00:02\n65280\n");
    EXPECT_THAT(vm->run({"ping", "-c", "1", "127.0.0.1"})->out, HasSubstr("1 packets received"));

    agent::Request request;
    agent::Network& network = *request.mutable_network();
    network.set_card("eth0");
    network.set_mac(std::string("\x90\x13\x0a\0\0\x05", 6));
    agent::Address* address = network.add_addresses();
    address->set_address(std::string("\x0a\0\0\x05", 4));
    address->set_prefix(24);
    address = network.add_addresses();
    address->set_address(std::string("\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05", 16));
    address->set_prefix(64);
    agent::Route* route = network.add_routes();
    route->set_destination(std::string("\x0a\x01\0\0", 4));
    route->set_prefix(16);
    route = network.add_routes();
    route->set_destination(std::string(4, '\0'));
    route->set_gateway(std::string("\x0a\0\0\x01", 4));
    (*network.mutable_hosts())["other.golem"] = "10.0.0.7";
    vm->request(request);
    EXPECT_EQ(vm->run({"cat", "/sys/class/net/eth0/address"})->out, "90:13:0a:00:00:05\n");
    const auto addresses = vm->run({"ip", "addr", "show", "eth0"});
    EXPECT_THAT(addresses->out, HasSubstr("inet 10.0.0.5/24"));
    EXPECT_THAT(addresses->out, HasSubstr("inet6 fd00::5/64"));
    const auto routes = vm->run({"ip", "route"});
    EXPECT_THAT(routes->out, HasSubstr("default via 10.0.0.1 dev eth0"));
    EXPECT_THAT(routes->out, HasSubstr("10.1.0.0/16 dev eth0"));
    EXPECT_THAT(vm->run({"cat", "/etc/hosts"})->out, HasSubstr("10.0.0.7\tother.golem\n"));

    const auto refusal = [&](const agent::Request& bad) {
        try {
            vm->request(bad);
        } catch (const agent::RequestError& error) {
            EXPECT_EQ(error.code(), agent::Error::BAD_REQUEST);
            return std::string(error.what());
        }
        return std::string();
    };
    agent::Request bad = request;
    bad.mutable_network()->set_card("eth7");
    EXPECT_EQ(refusal(bad), "there is no network card eth7");
    bad = request;
    (*bad.mutable_network()->mutable_hosts())["evil\n1.2.3.4 x"] = "10.0.0.8";
    EXPECT_THAT(refusal(bad), HasSubstr("not a host name"));
}

// ---- The end, and hostile processes

TEST_F(Guest, ShutsDownInTimeAndLeavesCleanFileSystems) {
    VmOptions vm_options = options();
    const fs::path disk = make_disk("clean", "16M");
    vm_options.disks.push_back({disk, "storage-0", false});
    agent::Setup setup = GuestVm::setup();
    agent::Volume* volume = setup.add_volumes();
    volume->set_path("/plain");
    volume->set_disk("storage-0");
    auto vm = start(setup, std::move(vm_options));
    const auto polite =
        vm->begin({"/bin/sh", "-c", "trap 'echo bye; echo bye > /plain/bye; exit 7' TERM; echo ready; while :; do sleep 0.1; done"});
    const auto stubborn = vm->begin({"/bin/sh", "-c", "cd /plain; trap '' TERM; echo ready; while :; do sleep 0.1; done"});
    vm->until([&] { return polite->out == "ready\n" && stubborn->out == "ready\n"; });
    agent::Request request;
    request.mutable_shutdown()->set_grace_ms(700);
    const auto begin = std::chrono::steady_clock::now();
    vm->request(request);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 4s);
    vm->until([&] { return polite->exited && stubborn->exited; });
    EXPECT_EQ(polite->out, "ready\nbye\n");
    EXPECT_EQ(polite->exited->code(), 7);
    EXPECT_EQ(stubborn->exited->code(), 137);
    EXPECT_THAT(vm->refused(GuestVm::exec({"/bin/true"})).what(), HasSubstr("shutting down"));
    vm.reset();
    const base::Finished check = base::run({"e2fsck", "-fn", disk});
    EXPECT_EQ(check.code, 0) << check.output;
    EXPECT_THAT(base::run({"dumpe2fs", "-h", disk}).output, HasSubstr("Filesystem state:         clean"));
    EXPECT_EQ(base::run({"debugfs", "-R", "cat bye", disk}).output.substr(0, 3), "deb");
}

TEST_F(Guest, TellsThatTheKernelKilledForWantOfMemory) {
    const auto vm = start();
    const auto process = vm->run({"awk", "BEGIN { x = \"0123456789abcdef\"; while (1) x = x x }"});
    EXPECT_EQ(process->exited->code(), 137);
    EXPECT_TRUE(process->exited->out_of_memory());
    vm->until([&] { return vm->log().find("Killed process") != std::string::npos; });
    // A line that a program wrote is not the kernel's.
    const auto liar = vm->sh("echo \"<3>Out of memory: Killed process $$ (sh)\" > /dev/kmsg; kill -KILL $$");
    EXPECT_EQ(liar->exited->code(), 137);
    EXPECT_FALSE(liar->exited->out_of_memory());
}

TEST_F(Guest, SurvivesWhatRootCanDo) {
    const auto vm = start();
    EXPECT_NE(vm->sh("reboot -f")->exited->code(), 0);
    EXPECT_EQ(vm->sh("kill -KILL 1; kill -STOP 1; kill -TERM 1; kill -SEGV 1; echo still")->out, "still\n");
    EXPECT_THAT(vm->sh("cat /dev/vport*")->err, HasSubstr("busy"));
    EXPECT_EQ(vm->sh("exec /bin/true < /proc/1/fd/0")->exited->code(), 0);
    EXPECT_EQ(vm->sh("sleep 1000 & kill -KILL -1; wait $!; echo $?")->out, "137\n");
    EXPECT_EQ(vm->sh("umount -l /proc; umount -l /sys; umount -l /dev; echo gone")->out, "gone\n");
    const auto process = vm->sh("echo after; kill -KILL $$");
    EXPECT_EQ(process->out, "after\n");
    EXPECT_EQ(process->exited->code(), 137);
}

TEST_F(Guest, AProcessThatReadsItsOwnPipeDoesNotHoldUpItsExit) {
    const auto vm = start();
    agent::Exec exec = GuestVm::exec({"/bin/sh", "-c", "head -c 60000 /dev/zero; (sleep 0.5; cat < /proc/self/fd/1 > /dev/null) & exit 5"});
    exec.set_credit(1000);
    const auto process = vm->begin(exec, false);
    // When credit comes, the bytes that were there at the exit have been taken by the thief.
    EXPECT_EQ(vm->sh("sleep 1.5")->exited->code(), 0);
    vm->client().grant(process->number, agent::STDOUT, 1 << 20);
    vm->finish(process);
    EXPECT_EQ(process->exited->code(), 5);
}

TEST_F(Guest, SurvivesAForkBomb) {
    const auto vm = start();
    const auto bomb = vm->begin({"/bin/sh", "-c", "ulimit -u 2>/dev/null; f() { f | f & }; f; sleep 1000"});
    vm->serve(2s);
    vm->kill(bomb->number, SIGKILL);
    // Whatever is left of it is taken away by the shutdown.
    agent::Request request;
    request.mutable_shutdown()->set_grace_ms(100);
    const auto begin = std::chrono::steady_clock::now();
    vm->request(request);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 20s);
}

TEST_F(Guest, UsesNoCpuWhileIdleAndWhileTheHostsEndIsClosed) {
    const auto vm = start();
    const auto flood = vm->begin(GuestVm::exec({"yes", "flood"}), false);  // it stands still for want of credit
    vm->serve(1s);
    const auto used = [&](std::chrono::seconds time) {
        const double before = cpu_seconds(vm->qemu_pid());
        vm->serve(time);
        return cpu_seconds(vm->qemu_pid()) - before;
    };
    EXPECT_LT(used(4s), 0.4) << "idle, with a process that waits for credit";
    vm->client().grant(flood->number, agent::STDOUT, 64 << 20);
    vm->client().close();
    vm->serve(2s);
    EXPECT_LT(used(4s), 0.4) << "the host's end closed, with output to send";
}

}  // namespace
}  // namespace guest_test
