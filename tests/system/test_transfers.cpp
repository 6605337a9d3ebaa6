// Host volumes and what a supervisor does with them (docs/spec/exe-unit.md, "TRANSFER and the volume"): what the guest writes is what an
// archiver of the host packs, what it unpacks works in the guest, and nothing leads out.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>

#include "fixture.h"

namespace system_test {
namespace {

using testing::IsEmpty;
using Clock = std::chrono::steady_clock;

long milliseconds_since(Clock::time_point begin) {
    return std::chrono::duration_cast<Duration>(Clock::now() - begin).count();
}

// The image's User: root, and two who are not.
class Transfers : public SystemTest, public testing::WithParamInterface<const char*> {
protected:
    void SetUp() override {
        SystemTest::SetUp();
        task_package = image(GetParam());
        const auto deployment = deploy({"--volume-override", R"({"/work":{"host":{}}})"});
        for (const auto& volume : deployment["vols"]) {
            if (volume["path"] == "/work") folder = workdir / volume["name"].get<std::string>();
        }
        vm = start();
    }
    void TearDown() override {
        if (vm) {
            EXPECT_EQ(vm->shutdown(), 0);
        }
        vm.reset();
        SystemTest::TearDown();
    }

    std::string says(const std::string& script) {
        const Process process = vm->sh(script);
        EXPECT_EQ(process.code, 0) << script << ": " << process.err;
        return process.out;
    }

    // As a supervisor does: written, then made executable.
    void host_puts(const std::string& name) {
        std::ofstream(folder / name) << name;
        fs::permissions(folder / name, fs::perms(0700));
    }

    // Packs the volume on both sides.
    void expect_the_same_archive() {
        const fs::path host_tar = workdir / "host.tar";
        const Output packed = run_program({"tar", "-C", folder, "-cf", host_tar, "."});
        EXPECT_EQ(packed.code, 0) << packed.err;
        const Process guest = vm->run({"/bin/tar", "-C", "/work", "-cf", "-", "."});
        EXPECT_EQ(guest.code, 0) << guest.err;
        std::ofstream(workdir / "guest.tar", std::ios::binary) << guest.out;
        const Output compared = run_program({"python3", GVMKIT_TEST_SOURCES "/compare_archives.py", host_tar, workdir / "guest.tar"});
        EXPECT_EQ(compared.code, 0) << compared.out << compared.err;
    }

    // What no guest may leave on the host.
    void expect_only_files_and_folders() {
        const Output found = run_program({"find", folder, "(", "!", "-type", "f", "!", "-type", "d", ")", "-o", "-perm", "/7000"});
        EXPECT_THAT(found.out, IsEmpty()) << found.err;
    }

    fs::path folder;
    std::unique_ptr<Runtime> vm;
};

TEST_P(Transfers, WhatTheGuestWroteIsWhatTheHostPacks) {
    says(R"sh(
        cd /work
        mkdir -p a/b/c empty 'with space' closed
        cp /bin/busybox . && chmod 755 busybox
        cp /bin/busybox a/stripped && chmod 0711 a/stripped
        printf '#!/bin/sh\necho script\n' > a/script && chmod 750 a/script
        echo plain > a/b/plain
        echo read-only > a/b/read-only && chmod 444 a/b/read-only
        echo secret > a/b/c/secret && chmod 600 a/b/c/secret
        echo own > a/b/c/own && chmod 700 a/b/c/own
        echo all > all && chmod 666 all
        : > nothing && chmod 400 nothing
        echo in > closed/in && chmod 640 closed/in && chmod 555 closed
        mkdir private && echo x > private/x && chmod 700 private
        ln -s a/b/plain link; ln -s /etc/passwd absolute; ln -s ../../../.. up; ln -s nowhere dangling
        ln a/b/plain hard
        mkfifo fifo
        echo odd > "$(printf 'new\nline\377\001"\\')"
        mkdir -- "-dash $(printf '\t')"; echo x > "-dash $(printf '\t')/*"
        echo long > "$(printf '%0255d' 0)"
        dd if=/dev/urandom of=random bs=64k count=40 2>&1; chmod 640 random
    )sh");
    expect_only_files_and_folders();
    expect_the_same_archive();
    EXPECT_EQ(run_program({folder / "busybox", "echo", "runs on the host"}).out, "runs on the host\n");

    // The second command finds everything as the first has left it, and may change it.
    says(R"sh(
        set -e
        cd /work
        test "$(stat -c %a a/b/read-only closed a/script | tr '\n' ' ')" = '444 555 750 '
        test "$(./a/script)" = script
        chmod 755 closed; echo more > closed/more; chmod 555 closed
        chmod 644 a/b/read-only; echo changed > a/b/read-only; chmod 400 a/b/read-only
        chmod u+w busybox; echo >> busybox; chmod 511 busybox
        mv a moved; rm moved/stripped
    )sh");
    expect_only_files_and_folders();
    expect_the_same_archive();
}

TEST_P(Transfers, WhatTheHostPutsThereWorksInTheGuest) {
    const fs::path source = workdir / "source";
    fs::create_directories(source / "tree/deep/er");
    fs::copy_file("/bin/busybox", source / "tree/busybox");
    std::ofstream(source / "tree/secret") << "secret";
    std::ofstream(source / "tree/deep/script") << "#!/bin/sh\necho \"ran $0\"\n";
    std::ofstream(source / "tree/deep/er/read-only") << "read-only";
    fs::create_symlink("deep/script", source / "tree/link");
    fs::create_symlink("deep", source / "tree/folder-link");
    fs::create_symlink("/bin/busybox", source / "tree/absolute");
    fs::create_symlink("nowhere", source / "tree/dangling");
    fs::permissions(source / "tree/secret", fs::perms(0600));
    fs::permissions(source / "tree/deep/script", fs::perms(0700));
    fs::permissions(source / "tree/deep/er/read-only", fs::perms(0400));
    fs::permissions(source / "tree/deep/er", fs::perms(0500));
    fs::permissions(source / "tree", fs::perms(0700));
    const Output packed = run_program({"tar", "-C", source, "--owner=4711", "--group=4711", "-cf", workdir / "in.tar", "tree"});
    ASSERT_EQ(packed.code, 0) << packed.err;
    // Root's tar gives the files to the owner that the archive names.
    const Output unpacked = run_program({"tar", "-C", folder, "-xpf", workdir / "in.tar"});
    ASSERT_EQ(unpacked.code, 0) << unpacked.err;

    EXPECT_EQ(
        says("cd /work/tree; cat secret deep/er/read-only; ./link; folder-link/script; $(readlink absolute) echo 1; ./busybox echo 2"),
        "secretread-onlyran ./link\nran folder-link/script\n1\n2\n");
    EXPECT_EQ(says("cd /work/tree; for l in link folder-link absolute dangling; do readlink $l; done"),
              "deep/script\ndeep\n/bin/busybox\nnowhere\n");
    EXPECT_EQ(says("cd /work/tree; stat -c %a . secret deep/script deep/er deep/er/read-only; stat -c %u secret link; id -u"), [this] {
        const std::string id = says("id -u");
        return "700\n600\n700\n500\n400\n" + id + id + id;
    }());
    says("cd /work && echo new > new && chmod 755 tree/deep/er && rm tree/deep/er/read-only && rm tree/link && mv tree tree2");
    expect_only_files_and_folders();
    expect_the_same_archive();

    // The same file once more, and a mode that the host has changed.
    std::ofstream(folder / "tree2/secret") << "overwritten";
    fs::permissions(folder / "tree2/secret", fs::perms(0755));
    EXPECT_EQ(says("cat /work/tree2/secret; stat -c ' %a' /work/tree2/secret"), "overwritten 755\n");
}

TEST_P(Transfers, AProcessThatRunsOnSeesAndShowsToo) {
    const auto service = vm->begin(
        {"/bin/sh", "-c", "cd /work; while ! test -x begin; do sleep 0.1; done; cat begin; echo out > out; chmod 755 out; sleep 1000"});
    host_puts("begin");
    vm->until([&] { return service->out == "begin"; });
    vm->until([this] {
        struct stat st {};
        return ::stat((folder / "out").c_str(), &st) == 0 && st.st_mode == (S_IFREG | 0755);
    });
    vm->kill(service->pid);
    vm->finish(service);
}

// QEMU is an ordinary user on most hosts, and cannot open what its own mode forbids.
TEST_P(Transfers, AChildInTheBackgroundFindsItsFilesOpen) {
    const auto mode_of = [this](const char* name) {
        struct stat st {};
        return ::stat((folder / name).c_str(), &st) == 0 ? st.st_mode & 0777 : 0;
    };
    says(R"sh(
        cd /work
        echo early > log; chmod 444 log
        echo tool > tool; chmod 555 tool
        (while ! test -e go; do sleep 0.1; done; chmod 644 log && echo late >> log; : > done
         while ! test -e end; do sleep 0.1; done) > /dev/null 2>&1 &
    )sh");
    EXPECT_EQ(mode_of("tool"), 0755U);
    host_puts("go");
    vm->until([this] { return fs::exists(folder / "done"); });
    EXPECT_EQ(text_of(folder / "log"), "early\nlate\n");
    EXPECT_EQ(mode_of("tool"), 0755U);
    host_puts("end");
    // Nothing lives any more: the host has the guest's own modes.
    vm->until([&] { return mode_of("tool") == 0555; });
}

INSTANTIATE_TEST_SUITE_P(Users, Transfers, testing::Values("plain", "configured", "user-unknown-uid"), [](const auto& info) {
    return std::string(info.param).substr(0, info.param == std::string("user-unknown-uid") ? 4 : 10);
});

class HostileVolume : public Transfers {};

TEST_P(HostileVolume, NothingLeadsOut) {
    const fs::path outside = workdir / "outside";
    std::ofstream(outside) << "untouched";
    fs::permissions(outside, fs::perms(0640));
    const char* const attack = R"sh(
        cd /work
        ln -s "$1" link; ln -s / root; ln -s /etc etc
        mknod block b 8 0; mknod char c 1 1; mkfifo fifo
        cp /bin/busybox setuid; chmod 6755 setuid; mkdir sticky; chmod 3777 sticky
        ln link link2; ln char char2
        chmod 7777 link block fifo
        i=0; while test $i -lt 300; do mkdir d; cd d; i=$((i+1)); done; echo deep > deep; chmod 4755 deep
        mkdir -p /share && mount -t 9p -o trans=virtio,version=9p2000.L volumes /share && ln -s / /share/out && chmod 0 /share /share/*
        true
    )sh";
    const Process process = vm->run({"/bin/sh", "-c", attack, "sh", outside.string()});
    EXPECT_EQ(process.code, 0) << process.err;
    expect_only_files_and_folders();
    EXPECT_THAT(run_program({"find", workdir / "volumes", "-type", "l"}).out, IsEmpty());
    EXPECT_EQ(fs::status(outside).permissions(), fs::perms(0640));
    EXPECT_EQ(text_of(outside), "untouched");
    EXPECT_EQ(says("cat /work/fifo & sleep 0.2; echo through > /work/fifo; wait"), "through\n");
}

// Renames and removals while sweeps go on; what is there at the end is as it should be.
TEST_P(HostileVolume, AMovingTreeIsSwept) {
    says(R"sh(
        cd /work; mkdir -p a/x b
        (i=0; while test $i -lt 60; do mv a/x b/x; mkdir -p a/x; echo $i > a/x/$i; chmod 755 a/x/$i; rm -rf b/x; i=$((i+1)); done) &
        (i=0; while test $i -lt 60; do mkdir -p c/$i/d; echo $i > c/$i/d/f; chmod 511 c/$i/d/f; chmod 500 c/$i/d; mv c/$i c/moved$i; i=$((i+1)); done) &
        wait
    )sh");
    expect_only_files_and_folders();
    expect_the_same_archive();
}

// A volume of 100,000 files: neither does it slow a command down that touches few of them, nor does its first walk hold other output up.
TEST_P(HostileVolume, ManyFiles) {
    constexpr int kFolders = 100;
    constexpr int kFiles = 1000;
    const auto measure = [this](const std::string& what) {
        long best = 1000000;
        for (int i = 0; i < 10; i++) {
            const auto begin = Clock::now();
            EXPECT_EQ(vm->sh("echo x > /work/few" + std::to_string(i) + "; chmod 755 /work/few" + std::to_string(i)).code, 0);
            best = std::min(best, milliseconds_since(begin));
        }
        std::cout << what << ": " << best << " ms\n";
        return best;
    };
    const long empty = measure("a command that touches a file of an empty volume");
    long silence = 0;
    std::optional<Clock::time_point> last_tick;
    const auto tick = [&](const api::ProcessStatus&) {
        if (last_tick) silence = std::max(silence, milliseconds_since(*last_tick));
        if (last_tick) last_tick = Clock::now();
    };
    const auto ticks = vm->begin({"/bin/sh", "-c", "while true; do echo tick; sleep 0.05; done"}, {.status = tick});
    for (int i = 0; i < kFolders; i++) {
        // One file with 1,000 names: faster made than as many files, and no less to look at.
        const fs::path file = folder / std::to_string(i) / "0";
        fs::create_directory(file.parent_path());
        ASSERT_EQ(::mknod(file.c_str(), S_IFREG | 0640, 0), 0);
        for (int j = 1; j < kFiles; j++)
            fs::create_hard_link(file, file.parent_path() / std::to_string(j));
    }
    const auto begin = Clock::now();
    last_tick = begin;
    EXPECT_EQ(vm->run({"/bin/true"}).code, 0);
    last_tick.reset();
    std::cout << "the first command after the host has put 100,000 files there: " << milliseconds_since(begin)
              << " ms; longest silence of another: " << silence << " ms\n";
    EXPECT_LT(silence, 30000);
    vm->kill(ticks->pid);
    vm->finish(ticks);
    const long full = measure("a command that touches a file of a volume with 100,000");
    EXPECT_LT(full - empty, 1000);
    EXPECT_EQ(says("stat -c '%a %u %h' /work/99/999"), "640 0 1000\n");
}

INSTANTIATE_TEST_SUITE_P(Root, HostileVolume, testing::Values("plain"), [](const auto&) { return "root"; });

}  // namespace
}  // namespace system_test
