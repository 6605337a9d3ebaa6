// What a command gets and how its end is reported (docs/spec/exe-unit.md, rules 1 to 7; docs/spec/guest.md, "A process").
#include <gmock/gmock.h>

#include "fixture.h"

namespace system_test {
namespace {

using testing::HasSubstr;

class ProcessTest : public SystemTest {
protected:
    void boot(const std::string& image_name = "plain") {
        task_package = image(image_name);
        deploy();
        vm = start();
    }

    // The standard output of a script that must succeed.
    std::string says(const std::string& script) {
        const Process process = vm->sh(script);
        EXPECT_EQ(process.code, 0) << script << ": " << process.err;
        return process.out;
    }

    // The error that a Run is answered with.
    std::string refusal(const std::vector<std::string>& argv, api::Error::Code code, const RunOptions& options = {}) {
        try {
            (void)vm->begin(argv, options);
        } catch (const exeunit::ResponseError& e) {
            EXPECT_EQ(e.code(), code) << e.what();
            return e.what();
        }
        ADD_FAILURE() << argv[0] << " was started";
        return {};
    }

    void TearDown() override {
        vm.reset();
        SystemTest::TearDown();
    }

    std::unique_ptr<Runtime> vm;
};

TEST_F(ProcessTest, FirstArgumentIsTheProgramsName) {
    boot();
    EXPECT_EQ(vm->run({"echo", "one", "two words", ""}, {.bin = "/bin/busybox"}).out, "one two words \n");
    EXPECT_EQ(vm->run({"sh", "-c", "head -c 2 /proc/$$/cmdline; echo $0"}, {.bin = "/bin/busybox"}).out, "shsh\n");
    // Arguments are bytes, of any length that execve takes.
    const std::string bytes = "\xff\x01 \n\xc3";
    EXPECT_EQ(vm->run({"/bin/printf", "%s", bytes}).out, bytes);
    EXPECT_EQ(vm->run({"/bin/printf", "%s", std::string(100000, 'x')}).out, std::string(100000, 'x'));
    EXPECT_EQ(vm->shutdown(), 0);
}

// A kernel takes 128 KiB in one argument and 2 MiB in all, environment and pointers among them.
TEST_F(ProcessTest, ArgumentsUpToTheKernelsLimit) {
    boot();
    std::vector<std::string> argv{"/bin/sh", "-c", "echo $# ${#1} ${#14}"};
    argv.resize(3 + 15, std::string((128 << 10) - 1, 'x'));
    EXPECT_EQ(vm->run(argv).out, "14 131071 131071\n");
    for (const size_t length : {size_t{128} << 10, size_t{3} << 20, size_t{5} << 20, size_t{15} << 20}) {
        EXPECT_EQ(refusal({"/bin/true", std::string(length, 'x')}, api::Error::BAD_REQUEST), "cannot run /bin/true: Argument list too long")
            << length;
    }
    argv.resize(3 + 17, argv.back());  // each short enough, together too long
    EXPECT_EQ(refusal(argv, api::Error::BAD_REQUEST), "cannot run /bin/sh: Argument list too long");
    EXPECT_EQ(vm->run({"echo", "alive"}).out, "alive\n");
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProcessTest, ManyAtOnce) {
    constexpr int kMany = 300;
    boot();
    says("mkfifo /tmp/gate");
    std::vector<std::shared_ptr<Process>> processes;
    processes.reserve(kMany);
    for (int i = 0; i < kMany; i++)
        processes.push_back(vm->begin({"/bin/sh", "-c", "read x < /tmp/gate; echo $0; exit $(($0 % 200))", std::to_string(i)}));
    EXPECT_EQ(says("pidof sh | wc -w"), std::to_string(kMany + 1) + "\n");
    says(": > /tmp/gate");
    for (int i = 0; i < kMany; i++) {
        vm->finish(processes[i]);
        EXPECT_EQ(processes[i]->code, i % 200);
        EXPECT_EQ(processes[i]->out, std::to_string(i).append("\n"));
    }
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProcessTest, EnvironmentOfAnImageWithoutAny) {
    boot();
    EXPECT_EQ(says("env | grep -v '^\\(SHLVL\\|PWD\\|_\\)=' | sort"),
              "HOME=/root\nHOSTNAME=golem\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
    EXPECT_EQ(says("pwd; id -u; id -g; umask; hostname"), "/\n0\n0\n0022\ngolem\n");
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProcessTest, StandardInputSessionAndDescriptors) {
    boot();
    EXPECT_EQ(says("readlink /proc/self/fd/0"), "/dev/null\n");
    EXPECT_EQ(says("cat; echo end"), "end\n");
    EXPECT_EQ(vm->run({"/bin/ls", "/proc/self/fd"}).out, "0\n1\n2\n3\n");  // 3 is ls reading the folder
    EXPECT_EQ(says("set -- $(cat /proc/$$/stat); [ $1 = $5 ] && [ $1 = $6 ] && echo leader"), "leader\n");
    EXPECT_EQ(vm->run({"/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"}).out,
              "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProcessTest, ConfigurationOfTheImage) {
    boot("configured");
    EXPECT_EQ(says("echo \"$COLOUR|$EMPTY|$PATH|$HOME|$HOSTNAME\"; pwd"),
              "deep red||/opt/bin:/bin|/home/guest|golem\n/home/guest/made/by/us\n");
    EXPECT_EQ(says("printf %s \"$BYTES\" | od -An -tx1"), " 01 09 0a c5 bc 22\n");
    EXPECT_EQ(vm->run({"answer"}).out, "42\n");  // found in the image's PATH
    EXPECT_EQ(says("id -u; id -g; id -G"), "1000\n1000\n1000 50 100\n");
    EXPECT_EQ(says("touch $HOME/mine && stat -c %u $HOME/mine"), "1000\n");
    EXPECT_EQ(says("stat -c %u ."), "0\n");                                        // made by the VM, as Docker makes it
    EXPECT_EQ(vm->run({"/bin/pwd"}, {.work_dir = "/tmp/a/b"}).out, "/tmp/a/b\n");  // made
    EXPECT_EQ(vm->shutdown(), 0);
}

// As in Docker: the pipes belong to the user, and links such as nginx's logs lead to them.
TEST_F(ProcessTest, StandardStreamsCanBeOpenedByName) {
    boot("configured");
    const Process& process = vm->run({"/bin/sh", "-c",
                                      "echo out > /dev/stdout; echo err > /dev/stderr; echo log >> /var/log/access.log; "
                                      "echo fd > /proc/self/fd/2; stat -L -c %u:%g /proc/self/fd/1"});
    EXPECT_EQ(process.out, "out\nlog\n1000:1000\n");
    EXPECT_EQ(process.err, "err\nfd\n");
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProcessTest, PrimaryGroupIsASupplementaryOneToo) {
    boot("configured");
    EXPECT_EQ(vm->run({"/bin/grep", "Groups", "/proc/self/status"}).out, "Groups:\t50 100 1000 \n");
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProcessTest, LinkThatLeadsNowhereBecomesAWorkingDirectory) {
    boot("plain");
    EXPECT_EQ(vm->run({"/bin/pwd", "-P"}, {.work_dir = "/later/a/../b"}).out, "/made/on demand/b\n");
    EXPECT_EQ(vm->run({"/bin/stat", "-c", "%U %a", "/made/on demand/b"}).out, "root 755\n");
    EXPECT_EQ(vm->run({"/bin/sh", "-c", "ln -s loop /loop; ln -s /bin/sh /file"}).code, 0);
    const auto error_in = [this](const std::string& folder) {
        try {
            vm->run({"/bin/pwd"}, {.work_dir = folder});
        } catch (const exeunit::ResponseError& e) {
            return std::string(e.what());
        }
        return std::string("started");
    };
    EXPECT_THAT(error_in("/loop/x"), HasSubstr("the working directory /loop/x: Too many levels of symbolic links"));
    EXPECT_THAT(error_in("/file/x"), HasSubstr("the working directory /file/x: Not a directory"));
    EXPECT_EQ(vm->shutdown(), 0);
}

TEST_F(ProcessTest, MtabIsALinkToTheMounts) {
    boot("plain");
    EXPECT_EQ(says("readlink /etc/mtab; grep -c ' / overlay ' /etc/mtab"), "/proc/mounts\n1\n");
    EXPECT_EQ(vm->shutdown(), 0);
}

// A group that is given takes the place of those that /etc/group adds, as in Docker.
TEST_F(ProcessTest, UsersInAllForms) {
    const std::vector<std::pair<std::string, std::string>> forms{
        {"user-uid", "1000 1000 1000 50 100 /home/guest\n"},
        {"user-uid-gid", "1000 50 50 /home/guest\n"},
        {"user-name-group", "1000 50 50 /home/guest\n"},
        {"user-short-lines", "1001 51 51 /\n"},
        {"user-unknown-uid", "4242 0 0 /\n"},
    };
    for (const auto& [name, expected] : forms) {
        boot(name);
        EXPECT_EQ(says("echo $(id -u) $(id -g) $(id -G) $HOME"), expected) << name;
        EXPECT_EQ(vm->shutdown(), 0);
    }
}

TEST_F(ProcessTest, UserThatTheImageDoesNotKnowIsAnError) {
    task_package = image("user-unknown-name");
    deploy();
    vm = launch();
    try {
        vm->hello();
        ADD_FAILURE() << "started";
    } catch (const exeunit::ResponseError& e) {
        EXPECT_THAT(e.what(), HasSubstr("nobody-knows"));
    }
}

}  // namespace
}  // namespace system_test
