// Files in and out by parts of init, and what has changed in the root.
#include <algorithm>
#include <csignal>
#include <sstream>

#include "guest_fixture.h"

namespace guest_test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;

agent::Exec builtin(agent::Builtin number, const std::vector<std::string>& arguments) {
    agent::Exec exec;
    exec.set_builtin(number);
    for (const std::string& argument : arguments)
        exec.add_args(argument);
    exec.set_credit(256 << 10);
    return exec;
}

class GuestCopy : public Guest {
protected:
    // The tar of a path in the VM.
    static std::string copy_out(GuestVm& vm, const std::string& path) {
        const auto process = vm.run(builtin(agent::TAR_CREATE, {path}));
        EXPECT_EQ(process->exited->code(), 0) << process->err;
        return process->out;
    }

    // What it says; empty after success.
    static std::string copy_in(GuestVm& vm, const std::string& tar, const std::string& path, const std::string& name) {
        const auto process = vm.begin(builtin(agent::TAR_EXTRACT, {path, name}));
        vm.type(process, tar, true);
        vm.finish(process);
        EXPECT_EQ(process->exited->code(), process->err.empty() ? 0 : 1);
        return process->err;
    }

    // The records of what has changed.
    static std::vector<std::string> changes(GuestVm& vm) {
        const auto process = vm.run(builtin(agent::CHANGES, {"list"}));
        EXPECT_EQ(process->exited->code(), 0) << process->err;
        std::vector<std::string> records;
        for (size_t at = 0; at < process->out.size(); at = process->out.find('\0', at) + 1)
            records.emplace_back(process->out.c_str() + at);
        const auto by_path = [](const std::string& a, const std::string& b) { return a.substr(2) < b.substr(2); };
        EXPECT_TRUE(std::is_sorted(records.begin(), records.end(), by_path)) << testing::PrintToString(records);
        return records;
    }

    // The layer's entries as tar shows them: kind and mode, owner, and name; what it holds is unpacked to `layer`.
    static std::vector<std::string> layer(GuestVm& vm) {
        const auto process = vm.run(builtin(agent::CHANGES, {"layer"}));
        EXPECT_EQ(process->exited->code(), 0) << process->err;
        return listed(process->out);
    }

    static std::vector<std::string> listed(const std::string& tar) {
        std::ofstream(work_ / "layer.tar", std::ios::binary) << tar;
        fs::remove_all(work_ / "layer");
        fs::create_directory(work_ / "layer");
        check_program({"tar", "-C", work_ / "layer", "-xpf", work_ / "layer.tar"});
        const base::Finished list = base::run(
            {"/bin/sh", "-c",
             R"(tar --numeric-owner -tvf "$1" 2> /dev/null | awk '{n = $6; for (i = 7; i <= NF; i++) n = n " " $i; print $1, $2, n}')",
             "sh", work_ / "layer.tar"});
        std::vector<std::string> lines;
        std::istringstream text(list.output);
        for (std::string line; std::getline(text, line);)
            lines.push_back(line);
        return lines;
    }

    static std::string in_layer(const std::string& name) {
        std::ifstream file(work_ / "layer" / name, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    // As a .gvmi has it, a table by which hard links are found: with it they stay links when they are written to.
    static fs::path with_numbers(const fs::path& tar, const std::string& name) {
        check_program({"/bin/sh", "-c", R"(exec sqfstar -quiet -no-progress -exports "$1" < "$2")", "sh", image(name), tar});
        return image(name);
    }

    static agent::Setup on_disk(VmOptions& vm_options) {
        vm_options.disks.push_back({make_disk("root", "64M"), "root", false});
        agent::Setup setup = GuestVm::setup();
        setup.set_root_disk("root");
        return setup;
    }
};

TEST_F(GuestCopy, FilesComeOutAndGoInAgain) {
    VmOptions vm_options = options();
    agent::Setup setup = on_disk(vm_options);
    setup.add_volumes()->set_path("/tree/volume");
    setup.mutable_volumes(0)->set_ram(4 << 20);
    const auto vm = start(setup, std::move(vm_options));
    const auto made = vm->sh(R"sh(cd /tree && mkdir -p d/e && echo text > d/e/file && chmod 4711 d/e/file && ln d/e/file d/hard
        ln -s ../../outside d/out && mknod d/null c 1 3 && mkdir "d/$(printf '\377\376')" && printf x > "d/$(printf 'new\nline')"
        printf x > "d/$(printf '\303\251')" && echo volume > volume/file && mkdir d/sub && chmod 700 d/sub
        touch -d @1000000000 d/e/file d/sub && mkdir other && mount -t proc proc other)sh");
    ASSERT_EQ(made->exited->code(), 0) << made->err;
    const std::string tar = copy_out(*vm, "/tree");
    EXPECT_THAT(listed(tar), IsSupersetOf({"drwx------ 0/0 tree/d/sub/", "lrwxrwxrwx 0/0 tree/d/out -> ../../outside",
                                           "-rw-r--r-- 0/0 tree/volume/file", "dr-xr-xr-x 0/0 tree/other/"}));
    EXPECT_FALSE(fs::exists(work_ / "layer/tree/other/version")) << "what the kernel makes up is left out";
    EXPECT_EQ(in_layer("tree/d/\xc3\xa9"), "x");
    EXPECT_TRUE(fs::exists(work_ / "layer/tree/d/\xff\xfe"));

    EXPECT_EQ(copy_in(*vm, tar, "/new", "tree"), "");
    EXPECT_EQ(vm->run({"stat", "-c", "%a %Y", "/new/d/e/file", "/new/d/sub"})->out, "4711 1000000000\n700 1000000000\n");
    EXPECT_EQ(vm->run({"stat", "-c", "%h %t:%T", "/new/d/hard", "/new/d/null"})->out, "2 0:0\n1 1:3\n");
    EXPECT_EQ(vm->run({"cat", "/new/volume/file", "/new/d/new\nline"})->out, "volume\nx");
    EXPECT_EQ(vm->sh("umount /tree/other")->exited->code(), 0);
    EXPECT_TRUE(copy_out(*vm, "/tree/d/.") == copy_out(*vm, "/new/d/."));
}

TEST_F(GuestCopy, ExtendedAttributesAreKeptWhereTheyCanBe) {
    const fs::path tar = work_ / "attributes.tar";
    check_program({"python3", "-c", R"(import sys, tarfile
with tarfile.open(sys.argv[1], 'w', format=tarfile.PAX_FORMAT) as tar:
    entry = tarfile.TarInfo('f')
    entry.pax_headers = {'SCHILY.xattr.user.key': 'value of it', 'SCHILY.xattr.trusted.key': 'root'}
    tar.addfile(entry))",
                   tar});
    std::ifstream file(tar, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    VmOptions vm_options = options();
    const agent::Setup setup = on_disk(vm_options);
    const auto vm = start(setup, std::move(vm_options));
    EXPECT_EQ(copy_in(*vm, bytes, "/", "f"), "");
    const std::string layer = vm->run(builtin(agent::CHANGES, {"layer"}))->out;
    for (const std::string& again : {copy_out(*vm, "/f"), layer}) {
        EXPECT_THAT(again, HasSubstr("SCHILY.xattr.user.key=value of it\n"));
        EXPECT_THAT(again, HasSubstr("SCHILY.xattr.trusted.key=root\n"));
        EXPECT_THAT(again, Not(HasSubstr("overlay")));
    }
    const auto in_memory = start();
    const auto process = in_memory->begin(builtin(agent::TAR_EXTRACT, {"/", "f"}));
    in_memory->type(process, bytes, true);
    in_memory->finish(process);
    EXPECT_EQ(process->err, "f: the file system keeps no attribute user.key\n");
    EXPECT_EQ(process->exited->code(), 0);
}

TEST_F(GuestCopy, AVolumeOfTheHostTakesAndGivesFiles) {
    const fs::path share = work_ / "copy-share";
    fs::create_directories(share / "one");
    VmOptions vm_options = options();
    vm_options.share = share;
    agent::Setup setup = GuestVm::setup();
    setup.set_share(vm::kShareTag);
    setup.add_volumes()->set_path("/data");
    setup.mutable_volumes(0)->set_shared("one");
    const auto vm = start(setup, std::move(vm_options));
    ASSERT_EQ(vm->sh("mkdir -p /t/d; cd /t/d; echo text > file; chmod 640 file; chown 1000:50 file; ln -s file link; ln file hard; mkfifo "
                     "fifo; mkdir empty")
                  ->exited->code(),
              0);
    const std::string tar = copy_out(*vm, "/t/d");
    for (int round = 0; round < 2; round++) {
        EXPECT_EQ(copy_in(*vm, tar, "/data", "d"), "") << "at first, and in place of what is there";
        EXPECT_EQ(listed(copy_out(*vm, "/data/d")), listed(tar));
        const std::string look = "stat -c '%n %a %u %g %h %Y' . *";
        EXPECT_EQ(vm->sh("cd /data/d; " + look)->out, vm->sh("cd /t/d; " + look)->out);
    }
    EXPECT_TRUE(fs::exists(share / "one/d/file"));
    EXPECT_EQ(fs::file_size(share / "one/d/file"), 5U);
}

TEST_F(GuestCopy, ErrorsNameTheFile) {
    agent::Setup setup = GuestVm::setup();
    setup.set_root_ram(4 << 20);
    const auto vm = start(setup);
    const auto missing = vm->run(builtin(agent::TAR_CREATE, {"/none"}));
    EXPECT_EQ(missing->err, "/none: No such file or directory\n");
    EXPECT_EQ(missing->out, "");
    EXPECT_EQ(missing->exited->code(), 1);
    EXPECT_EQ(copy_in(*vm, copy_out(*vm, "/bin/plain-file"), "/none/file", "plain-file"), "/none/file: No such file or directory\n");
    EXPECT_THAT(copy_in(*vm, std::string(3 << 20, 'x'), "/", "x"), StartsWith("the tar is damaged")) << "more than fits the window";
    EXPECT_EQ(vm->refused(builtin(agent::TAR_EXTRACT, {"/"})).code(), agent::Error::BAD_REQUEST);
    const auto full = vm->sh("yes > /full");
    EXPECT_EQ(full->exited->code(), 1);
    EXPECT_THAT(copy_in(*vm, copy_out(*vm, "/bin/busybox"), "/", "busybox"), HasSubstr("No space left on device"));
    EXPECT_EQ(vm->run({"ls", "/busybox"})->exited->code(), 1) << "no part of it";
}

TEST_F(GuestCopy, NothingHasChangedAtTheStart) {
    for (const bool disk : {false, true}) {
        VmOptions vm_options = options();
        agent::Setup setup = disk ? on_disk(vm_options) : GuestVm::setup();
        for (const char* path : {"/data", "/var-run/deep/down", "/new/volume"}) {
            setup.add_volumes()->set_path(path);
            setup.mutable_volumes(setup.volumes_size() - 1)->set_ram(1 << 20);
        }
        const auto vm = start(setup, std::move(vm_options));
        EXPECT_THAT(changes(*vm), IsEmpty());
        EXPECT_THAT(layer(*vm), IsEmpty());
        EXPECT_EQ(vm->sh("echo x > /new/volume/file; echo x > /dev/shm/file; touch /etc/x; rm /etc/x")->exited->code(), 0);
        agent::Request network;
        network.mutable_network()->set_card("lo");
        (*network.mutable_network()->mutable_hosts())["other"] = "10.0.0.2";
        vm->request(std::move(network));
        EXPECT_THAT(vm->run({"cat", "/etc/hosts"})->out, EndsWith("10.0.0.2\tother\n"));
        EXPECT_THAT(changes(*vm), IsEmpty()) << "mounts, and what init has written";
        EXPECT_EQ(vm->sh("echo more >> /etc/hosts; rm /etc/hostname; chmod 700 /tmp; echo > /run/deep/x")->exited->code(), 0);
        EXPECT_THAT(changes(*vm), ElementsAre("C /etc", "A /etc/hosts", "C /run", "A /run/deep", "A /run/deep/x", "A /tmp"));
    }
}

TEST_F(GuestCopy, ChangesAreTheListAndTheLayer) {
    for (const bool disk : {false, true}) {
        const fs::path tree = work_ / "changing";
        fs::remove_all(tree);
        make_tree(tree);
        for (const char* folder : {"gone/deep", "moved/sub", "anew", "kept", "half", "file-now"})
            fs::create_directories(tree / folder);
        for (const char* name :
             {"gone/deep/f", "moved/sub/f", "moved/g", "anew/old", "kept/f", "half/a", "half/b", "changed", "touched", "moded", "same"})
            std::ofstream(tree / name) << "image\n";
        fs::create_hard_link(tree / "kept/f", tree / "linked");
        pack(disk ? "changing-disk" : "changing-ram", tree);
        VmOptions vm_options;
        vm_options.disks.push_back({with_numbers(work_ / "tree.tar", disk ? "numbered-disk" : "numbered-ram"), "image", true});
        const agent::Setup setup = disk ? on_disk(vm_options) : GuestVm::setup();
        const auto vm = start(setup, std::move(vm_options));
        const auto done = vm->sh(R"(set -e
            rm -r /gone; mv /moved /away; rm -r /anew; mkdir /anew; echo new > /anew/new; echo more >> /changed; touch /touched; chmod 600 /moded
            chmod 600 /same; chmod 644 /same; echo linked >> /linked; rm -r /half; mkdir /half; echo image > /half/b; rmdir /file-now; echo > /file-now
            mkdir /added; echo x > /added/one; ln /added/one /added/two; echo y > /added-too; ln -s nowhere /added/link; chmod 700 /; mknod /added/null c 1 3)");
        ASSERT_EQ(done->exited->code(), 0) << done->err;
        EXPECT_THAT(changes(*vm),
                    ElementsAre("C /", "A /added", "A /added-too", "A /added/link", "A /added/null", "A /added/one", "A /added/two",
                                "C /anew", "A /anew/new", "D /anew/old", "A /away", "A /away/g", "A /away/sub", "A /away/sub/f",
                                "C /changed", "C /file-now", "D /gone", "C /half", "D /half/a", "C /half/b", "C /kept", "C /kept/f",
                                "C /linked", "C /moded", "D /moved", "C /touched"));
        EXPECT_THAT(
            layer(*vm),
            ElementsAre("drwx------ 0/0 ./", "drwxr-xr-x 0/0 added/", "-rw-r--r-- 0/0 added-too", "lrwxrwxrwx 0/0 added/link -> nowhere",
                        "crw-r--r-- 0/0 added/null", "-rw-r--r-- 0/0 added/one", "hrw-r--r-- 0/0 added/two link to added/one",
                        "drwxr-xr-x 0/0 anew/", "-rw-r--r-- 0/0 anew/.wh..wh..opq", "-rw-r--r-- 0/0 anew/new", "drwxr-xr-x 0/0 away/",
                        "-rw-r--r-- 0/0 away/g", "drwxr-xr-x 0/0 away/sub/", "-rw-r--r-- 0/0 away/sub/f", "-rw-r--r-- 0/0 changed",
                        "-rw-r--r-- 0/0 file-now", "-rw-r--r-- 0/0 .wh.gone", "drwxr-xr-x 0/0 half/", "-rw-r--r-- 0/0 half/.wh.a",
                        "-rw-r--r-- 0/0 half/b", "drwxr-xr-x 0/0 kept/", "-rw-r--r-- 0/0 kept/f", "hrw-r--r-- 0/0 linked link to kept/f",
                        "-rw------- 0/0 moded", "-rw-r--r-- 0/0 .wh.moved", "-rw-r--r-- 0/0 touched"));
        EXPECT_EQ(in_layer("kept/f"), "image\nlinked\n");
        EXPECT_EQ(in_layer("away/sub/f"), "image\n");
        EXPECT_EQ(in_layer("changed"), "image\nmore\n");
        const auto first = vm->run(builtin(agent::CHANGES, {"layer"}));
        const auto second = vm->run(builtin(agent::CHANGES, {"layer"}));
        EXPECT_EQ(first->out, second->out);
    }
}

TEST_F(GuestCopy, HowATreeCameAboutDoesNotShow) {
    const fs::path tree = work_ / "ways";
    make_tree(tree);
    for (const char* name : {"one/a", "one/b", "two/a", "two/b"}) {
        fs::create_directories((tree / name).parent_path());
        std::ofstream(tree / name) << "image\n";
    }
    pack("ways", tree);
    std::vector<std::string> layers;
    for (const std::string way : {"rm -r one two; mkdir one two; echo image > two/b", "rm one/a one/b two/a; echo image > two/b"}) {
        VmOptions vm_options;
        vm_options.disks.push_back({image("ways"), "image", true});
        const auto vm = start(GuestVm::setup(), std::move(vm_options));
        ASSERT_EQ(vm->sh("cd /; " + way + "; touch -d @1000000000 one two two/b")->exited->code(), 0);
        EXPECT_THAT(changes(*vm), ElementsAre("C /one", "D /one/a", "D /one/b", "C /two", "D /two/a", "C /two/b"));
        layers.push_back(vm->run(builtin(agent::CHANGES, {"layer"}))->out);
        EXPECT_THAT(listed(layers.back()), testing::Contains("-rw-r--r-- 0/0 one/.wh..wh..opq"));
    }
    EXPECT_TRUE(layers[0] == layers[1]);
}

// A driver's files over two images.
TEST_F(GuestCopy, TheImageMayHaveSeveralLayers) {
    const auto make = [&](const std::string& name, const std::vector<std::string>& files) {
        const fs::path tree = work_ / ("layer-" + name);
        fs::create_directories(tree / "data");  // as pack has it
        for (const std::string& file : files) {
            fs::create_directories((tree / file).parent_path());
            std::ofstream(tree / file) << name << "\n";
        }
        pack("layer-" + name, tree);
    };
    make("driver", {"usr/tool", "usr/shared"});
    make("upper", {"usr/shared", "usr/upper"});
    VmOptions vm_options = options();
    vm_options.disks.push_back({image("layer-driver"), "driver", true});
    vm_options.disks.push_back({image("layer-upper"), "upper", true});
    agent::Setup setup = GuestVm::setup("upper");
    setup.add_images("image");
    setup.set_driver_files("driver");
    const auto vm = start(setup, std::move(vm_options));
    EXPECT_THAT(changes(*vm), IsEmpty());
    const auto done = vm->sh("rm /usr/upper; echo x >> /usr/shared; echo x > /usr/new; mv /usr/tool /usr/tool2; mv /home /usr/home");
    ASSERT_EQ(done->exited->code(), 0) << done->err;
    EXPECT_THAT(changes(*vm), ElementsAre("D /home", "C /usr", "A /usr/home", "A /usr/home/guest", "A /usr/new", "C /usr/shared",
                                          "D /usr/tool", "A /usr/tool2", "D /usr/upper"));
    layer(*vm);
    EXPECT_EQ(in_layer("usr/shared"), "driver\nx\n");
}

TEST_F(GuestCopy, ANameThatMarksADeletionFitsNoLayer) {
    const auto vm = start();
    EXPECT_EQ(vm->sh("echo x > /home/.wh.x")->exited->code(), 0);
    const auto process = vm->run(builtin(agent::CHANGES, {"layer"}));
    EXPECT_EQ(process->err, "/home/.wh.x: no layer can have this name, which marks what is deleted\n");
    EXPECT_EQ(process->exited->code(), 1);
    EXPECT_THAT(changes(*vm), ElementsAre("C /home", "A /home/.wh.x"));
    EXPECT_EQ(vm->run(builtin(agent::CHANGES, {"form"}))->err, "form: is neither \"list\" nor \"layer\"\n");
}

// What is kept for CHANGES is nobody else's.
TEST_F(GuestCopy, ProgramsInheritNoDescriptors) {
    const auto vm = start();
    changes(*vm);
    EXPECT_EQ(vm->sh("ls -l /proc/self/fd | grep -c -e memfd -e ' /$'")->out, "0\n");
    const auto reading = vm->begin(builtin(agent::TAR_EXTRACT, {"/", "x"}));
    EXPECT_EQ(vm->sh("ls -l /proc/[0-9]*/exe | grep -c 'init$' > /dev/null; ls /proc/$(ps | grep tar-extract | grep -v grep | awk '{print "
                     "$1; exit}')/fd")
                  ->out,
              "0\n1\n2\n3\n")
        << "3 is the target";
    vm->kill(reading->number, SIGKILL);
    vm->finish(reading);
}

}  // namespace
}  // namespace guest_test
