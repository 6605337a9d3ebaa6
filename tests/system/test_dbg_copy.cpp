// Files in and out of a VM under the debugger, and what was changed in its root: cp, diff and commit of ya-runtime-dbg.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <random>
#include <thread>

#include "at_terminal.h"
#include "base/fd.h"
#include "base/subprocess.h"
#include "base/temporary_folder.h"
#include "dbg_fixture.h"

namespace system_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

constexpr size_t kLarge = size_t{64} << 20;
constexpr size_t kSmaller = size_t{4} << 20;  // a volume of the host is slow while the VM floods

class DbgCopyTest : public DbgTest {
protected:
    void SetUp() override {
        DbgTest::SetUp();
        task_package = image("configured");
        (void)::setenv("XDG_RUNTIME_DIR", runtime_folder.path().c_str(), 1);
        here = workdir / "here";
        fs::create_directory(here);
    }
    void TearDown() override {
        if (reader.joinable()) (void)::kill(flooder, SIGKILL);  // the test has failed
        reader = {};
        first.reset();
        DbgTest::TearDown();
    }

    // The first window, which floods until the end of the test.
    void start_flooding() {
        first =
            std::make_unique<AtTerminal>(dbg({"--name", "box", "--user", "root", "--cwd", "/", "--exec", "while :; do echo flood; done"}));
        first->until("flood");
        flooder = first->pid();
        reader = std::jthread([this] { (void)first->exit_code(); });
    }
    void stop_flooding() {
        // A terminal that nobody reads would hold its debugger back.
        EXPECT_EQ(window({"stop", "box"}).code, 0);
        reader = {};
        first.reset();
    }

    Output window(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), program("ya-runtime-dbg"));
        return run_program(arguments);
    }
    void copy(const std::string& source, const std::string& target, const std::vector<std::string>& options = {}) {
        const Output output = try_copy(source, target, options);
        EXPECT_EQ(output.code, 0) << output.err;
    }
    Output try_copy(const std::string& source, const std::string& target, const std::vector<std::string>& options = {}) {
        std::vector<std::string> arguments{"cp"};
        arguments.insert(arguments.end(), options.begin(), options.end());
        arguments.insert(arguments.end(), {source, target});
        return window(arguments);
    }
    void expect_refused(const std::string& source, const std::string& target, const std::string& reason) {
        const Output output = try_copy(source, target);
        EXPECT_EQ(output.code, 1) << source << " " << target;
        EXPECT_THAT(output.err, HasSubstr(reason));
    }
    std::string in_vm(const std::string& script) { return window({"exec", "--user", "root", "--cwd", "/", "box", "sh", "-c", script}).out; }
    void write(const std::string& name, const std::string& text) { std::ofstream(here / name) << text; }
    std::vector<std::string> names_here() const {
        std::vector<std::string> names;
        for (const auto& entry : fs::directory_iterator(here))
            names.push_back(entry.path().filename());
        std::sort(names.begin(), names.end());
        return names;
    }

    base::TemporaryFolder runtime_folder{"/tmp", "vms-"};  // short enough for a socket
    fs::path here;                                         // this machine's side of the copies
    std::unique_ptr<AtTerminal> first;
    pid_t flooder = -1;   // its debugger
    std::jthread reader;  // of its terminal, to the end
};

void make_file(const fs::path& path, size_t bytes) {
    std::mt19937_64 random(11);
    std::vector<uint64_t> words(bytes / sizeof(uint64_t));
    std::generate(words.begin(), words.end(), [&random] { return random(); });
    std::ofstream(path).write(reinterpret_cast<const char*>(words.data()), static_cast<std::streamsize>(bytes));
}

bool same_bytes(const fs::path& a, const fs::path& b) {
    return base::run({"cmp", a, b}).code == 0;
}

TEST_F(DbgCopyTest, FilesGoBothWaysByteForByte) {
    start_flooding();
    const auto there_and_back = [this](const std::string& place, size_t bytes, const std::string& size) {
        make_file(here / "a file", bytes);
        fs::permissions(here / "a file", fs::perms(0640));
        EXPECT_EQ(try_copy(here / "a file", "box:" + place).err, "Successfully copied " + size + " to box:" + place + "\n");
        EXPECT_EQ(try_copy("box:" + place, here / "back", {"-q"}).err, "");
        EXPECT_TRUE(same_bytes(here / "a file", here / "back")) << place;
        EXPECT_EQ(fs::status(here / "back").permissions(), fs::perms(0640));
    };
    there_and_back("/root/large file", kLarge, "64.0 MiB");
    there_and_back("/data/smaller file", kSmaller, "4.0 MiB");
    EXPECT_EQ(in_vm("stat -c '%u:%g %a' '/root/large file'"), "0:0 640\n");
    EXPECT_THAT(names_here(), ElementsAre("a file", "back"));
    stop_flooding();
}

TEST_F(DbgCopyTest, FoldersAsDockerDoes) {
    start_flooding();
    fs::create_directories(here / "tree/sub dir/empty");
    write("tree/sub dir/a", "alpha");
    write("tree/żółw", "x");
    fs::create_symlink("sub dir/a", here / "tree/link");
    fs::create_hard_link(here / "tree/żółw", here / "tree/hard");
    const auto expect_tree = [this](const std::string& name) {
        EXPECT_EQ(base::run({"diff", "-r", "--no-dereference", here / "tree", here / name}).code, 0) << name;
    };
    // Where the target is not there, it becomes the copy; into a folder that is there goes a folder of the source's name.
    for (const std::string place : {"/var", "/golem/output"}) {
        copy(here / "tree", "box:" + place + "/new");
        copy(here / "tree/.", "box:" + place + "/content");
        copy(here / "tree", "box:" + place + "/new");
        copy("box:" + place + "/new/tree", here / "out");
        expect_tree("out");
        copy("box:" + place + "/content/.", here / "out");
        expect_tree("out");
        copy("box:" + place + "/new/tree/", here / "out");
        expect_tree("out/tree");
        fs::remove_all(here / "out");
    }
    write("tree/sub dir/a", "changed");
    write("tree/sub dir/b", "beta");
    copy("box:/var/content/sub dir", here / "tree");
    EXPECT_EQ(text_of(here / "tree/sub dir/a"), "alpha");
    EXPECT_EQ(text_of(here / "tree/sub dir/b"), "beta");
    // A symbolic link is one, unless it is to be followed.
    copy("box:/var/content/link", here / "link");
    EXPECT_EQ(fs::read_symlink(here / "link"), "sub dir/a");
    fs::remove(here / "link");
    copy("box:/var/content/link", here / "link", {"-L"});
    EXPECT_EQ(text_of(here / "link"), "alpha");
    copy(here / "tree/link", "box:/var/followed", {"-L"});
    EXPECT_EQ(in_vm("cat /var/followed"), "alpha");
    stop_flooding();
}

TEST_F(DbgCopyTest, OwnersAndRightsThatAGuestChose) {
    start_flooding();
    write("file", "x");
    copy(here / "file", "box:/root/plain");
    copy(here / "file", "box:/root/kept", {"-a"});
    const std::string ours = std::to_string(::geteuid()) + ":" + std::to_string(::getegid()) + "\n";
    EXPECT_EQ(in_vm("stat -c %u:%g /root/plain"), "0:0\n");
    EXPECT_EQ(in_vm("stat -c %u:%g /root/kept"), ours);
    in_vm("mkdir /root/odd; cd /root/odd; mknod null c 1 3; echo x > set; chown 1000:50 set; chmod 6755 set; mkfifo pipe");
    const Output out = try_copy("box:/root/odd", here / "odd");
    EXPECT_EQ(out.code, 0);
    EXPECT_THAT(out.err, HasSubstr("1 device was left out\n"));
    EXPECT_FALSE(fs::exists(here / "odd/null"));
    struct stat status {};
    ASSERT_EQ(::stat((here / "odd/set").c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, ::geteuid());
    EXPECT_EQ(status.st_mode, S_IFREG | 0755u);
    if (::geteuid() == 0) {
        copy("box:/root/odd", here / "all", {"-a"});
        ASSERT_EQ(::stat((here / "all/set").c_str(), &status), 0);
        EXPECT_EQ(status.st_uid, 1000u);
        EXPECT_EQ(status.st_mode, S_IFREG | 06755u);
    }
    stop_flooding();
}

TEST_F(DbgCopyTest, ATarOnAPipe) {
    start_flooding();
    write("one file", "1");
    fs::create_directory(here / "d");
    write("d/two", "2");
    const std::string dbg = program("ya-runtime-dbg");
    EXPECT_EQ(run_program({"/bin/sh", "-c", "tar c -C here . | " + dbg + " cp - box:/data"}).err, "");
    EXPECT_EQ(in_vm("cd /data; cat 'one file' d/two"), "12");
    EXPECT_EQ(run_program({"/bin/sh", "-c", dbg + " cp box:/data/d - | tar t"}).out, "d/\nd/two\n");
    EXPECT_EQ(run_program({"/bin/sh", "-c", dbg + " cp box:/none -"}).err, "error: box:/none: No such file or directory\n");
    stop_flooding();
}

TEST_F(DbgCopyTest, SaysWhatIsWrong) {
    start_flooding();
    write("file", "x");
    fs::create_directory(here / "folder");
    expect_refused("box:/none", here, "error: box:/none: No such file or directory");
    expect_refused(here / "none", "box:/root", "none: No such file or directory");
    expect_refused("box:/etc", here / "file", "it is a folder");
    expect_refused("box:/etc/hosts", (here / "nowhere/").string(), "nowhere/: no such folder");
    expect_refused("box:/etc/hosts", here / "nowhere/x", "nowhere: no such folder");
    expect_refused(here / "folder", "box:/etc/hosts", "hosts: is there, and is no folder");
    expect_refused(here / "file", "box:/none/x", "box:/none/x: No such file or directory");
    expect_refused(here / "file", "box:/none/", "box:/none/: No such file or directory");
    expect_refused(here / "file", here / "other", "one of the two has to be in a VM");
    expect_refused("box:/etc/hosts", "other:/", "not copied between VMs");
    expect_refused("other:/etc/hosts", here, "no VM is named \"other\"; running: box");
    expect_refused("box:/dev/null", here, "is in a file system of the kernel");
    EXPECT_THAT(names_here(), ElementsAre("file", "folder"));
    EXPECT_EQ(text_of(here / "file"), "x");
    stop_flooding();
}

// What is copied when a signal comes, or the VM ends, leaves nothing.
TEST_F(DbgCopyTest, NothingIsHalfWritten) {
    for (const bool signal : {true, false}) {
        const std::string make =
            "mkdir /root/d; dd if=/dev/urandom of=/root/d/large bs=1M count=100 2>/dev/null; mkfifo /root/d/z; echo up; sleep 1000";
        AtTerminal window_of_vm(dbg({"--name", "box", "--user", "root", "--exec", make}));
        window_of_vm.until("up\r\n");
        write("large", "old");
        AtTerminal copying({program("ya-runtime-dbg"), "cp", "box:/root/d/large", here / "large"});
        const auto begun = [this] { return names_here().size() > 1; };
        while (!begun())
            std::this_thread::sleep_for(1ms);
        if (signal) {
            copying.type("\x03");
            copying.until("error: box: interrupted");
        } else {
            ASSERT_EQ(::kill(window_of_vm.pid(), SIGKILL), 0);
            copying.until("error: box: ");
        }
        EXPECT_EQ(copying.exit_code(), 1);
        EXPECT_THAT(names_here(), ElementsAre("large"));
        EXPECT_EQ(text_of(here / "large"), "old");
        if (signal) {
            EXPECT_EQ(window({"stop", "box"}).code, 0);
        }
    }
}

TEST_F(DbgCopyTest, DiffListsWhatChanged) {
    start_flooding();
    EXPECT_EQ(window({"diff", "box"}).out, "");
    in_vm("echo x > /etc/passwd; rm /opt/bin/answer; mkdir /new; echo > \"$(printf '/new/\\033[31m')\"; echo > /data/in-a-volume");
    const std::string changes = window({"diff", "box"}).out;
    EXPECT_EQ(changes, "C /etc\nC /etc/passwd\nA /new\nA /new/\\x1b[31m\nC /opt\nC /opt/bin\nD /opt/bin/answer\n");
    EXPECT_THAT(window({"diff", "other"}).err, HasSubstr("no VM is named \"other\""));
    stop_flooding();
}

TEST_F(DbgCopyTest, CommitMakesAnImageWithTheChanges) {
    fs::copy_file(image("configured"), workdir / "own.gvmi");
    task_package = workdir / "own.gvmi";
    start_flooding();
    in_vm("echo changed > /etc/motd; rm -r /var/log; mkdir /made; ln -s motd /etc/link; chown 1000:7 /made; chmod 1750 /made");
    // The VM's image is what counts, and not what has its name by now.
    fs::remove(workdir / "own.gvmi");
    fs::copy_file(image("plain"), workdir / "own.gvmi");
    const auto commit = [this](const std::string& name, std::vector<std::string> options = {}) {
        options.insert(options.begin(), {"commit", "box", "-o", workdir / name});
        const Output output = window(options);
        EXPECT_EQ(output.code, 0) << output.err;
        return output.out.substr(output.out.find("image hash: "));
    };
    const std::string hash = commit("new.gvmi");
    EXPECT_EQ(commit("again.gvmi"), hash);
    EXPECT_TRUE(same_bytes(workdir / "new.gvmi", workdir / "again.gvmi"));
    (void)commit("set.gvmi", {"--env", "A=b", "--cmd", R"(["x","y z"])", "--user", "root", "--workdir", "/made"});
    stop_flooding();
    const std::string gvmi = program("gvmi");
    EXPECT_EQ(run_program({gvmi, "verify", workdir / "new.gvmi"}).code, 0);
    const std::string differences = run_program({gvmi, "diff", image("configured"), workdir / "new.gvmi"}).out;
    EXPECT_THAT(differences, HasSubstr("* configuration Image: "));
    EXPECT_THAT(differences, Not(HasSubstr("* configuration Env")));
    EXPECT_THAT(differences, HasSubstr("\n+ /etc/link\n+ /etc/motd\n+ /made\n"));
    EXPECT_THAT(differences, HasSubstr("\n- /var/log\n"));
    const std::string config = run_program({gvmi, "diff", workdir / "new.gvmi", workdir / "set.gvmi"}).out;
    EXPECT_THAT(config, HasSubstr(R"(* configuration Cmd: ["one","two words"] -> ["x","y z"])"));
    EXPECT_THAT(config, HasSubstr("* configuration User: \"guest\" -> \"root\""));
    EXPECT_THAT(config, HasSubstr("* configuration WorkingDir: "));
    EXPECT_THAT(config, HasSubstr("\"A=b\""));
    task_package = workdir / "new.gvmi";
    const Output second = run_program(dbg({"--user", "root", "--exec", "cat /etc/link; stat -c '%u:%g %a' /made; ls -d /var/log"}));
    EXPECT_EQ(second.out, "changed\n1000:7 1750\n");
    EXPECT_NE(second.code, 0);
}

}  // namespace
}  // namespace system_test
