// The guest's file systems and network cards.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "guest_fixture.h"

namespace guest_test {
namespace {

std::string file_text(const fs::path& path) {
    return base::read_file(path, 1 << 20);
}

TEST_F(Guest, MakesTheMountsOfAContainer) {
    const auto vm = start();
    const auto mounts = vm->run({"awk", "{ print $2, $3 }", "/proc/mounts"});
    for (const char* mount : {"/ overlay", "/proc proc", "/sys sysfs", "/sys/fs/cgroup cgroup2", "/dev devtmpfs", "/dev/pts devpts",
                              "/dev/shm tmpfs", "/dev/mqueue mqueue"})
        EXPECT_THAT(mounts->out, HasSubstr(std::string(mount) + "\n"));
    EXPECT_THAT(mounts->out, Not(HasSubstr("squashfs"))) << "what lies below the root is nobody's business";
    // sqfstar gives the image's root to who runs it.
    EXPECT_EQ(vm->run({"stat", "-c", "%a %u %g", "/"})->out, fmt::format("711 {} {}\n", ::geteuid(), ::getegid()));
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
    vm_options.disks.push_back({make_disk("root", "100M"), "scratch", false});
    agent::Setup setup = GuestVm::setup();
    setup.set_root_disk("scratch");
    const auto vm = start(setup, std::move(vm_options));
    EXPECT_EQ(vm->run({"stat", "-c", "%a", "/"})->out, "711\n");
    EXPECT_EQ(vm->sh("head -c 30000000 /dev/urandom > /big && sha256sum /big > /sum && sync && echo 3 > /proc/sys/vm/drop_caches && "
                     "sha256sum -c /sum")
                  ->out,
              "/big: OK\n");
    EXPECT_THAT(vm->sh("dd if=/dev/zero of=/bigger bs=1M count=100")->err, HasSubstr("No space left on device"));
    EXPECT_EQ(vm->sh("echo alive")->out, "alive\n");
}

TEST_F(Guest, LaysSeveralImagesOverEachOther) {
    fs::create_directories(work_ / "top/etc");
    std::ofstream(work_ / "top/etc/group") << "root:x:0:\ntop:x:77:guest\n";
    std::ofstream(work_ / "top/only-here") << "top\n";
    check_program({"mksquashfs", work_ / "top", image("top"), "-noappend", "-quiet", "-all-root", "-root-mode", "0755"});
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
    } catch (const agent::GuestError& error) {
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

// An image with a program and nothing else, or with a file in place of /etc.
TEST_F(Guest, StartsPoorImages) {
    for (const bool etc_is_file : {false, true}) {
        const fs::path tree = work_ / (etc_is_file ? "odd" : "bare");
        fs::create_directories(tree);
        fs::copy_file("/bin/busybox", tree / "busybox");
        if (etc_is_file) std::ofstream(tree / "etc") << "no directory\n";
        check_program({"mksquashfs", tree, image("poor"), "-noappend", "-quiet", "-all-root"});
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
    check_program({"mksquashfs", tree, image("links"), "-noappend", "-quiet", "-all-root"});
    VmOptions vm_options;
    vm_options.disks.push_back({image("links"), "image", true});
    {
        agent::Setup setup = GuestVm::setup();
        agent::Volume* volume = setup.add_volumes();
        volume->set_path("/up/volume");
        volume->set_ram(1 << 20);
        VmOptions same;
        same.disks = vm_options.disks;
        const auto vm = start(setup, std::move(same));
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
    } catch (const agent::GuestError& error) {
        EXPECT_STREQ(error.what(), "cannot look up /loop/volume: Too many levels of symbolic links");
    }
}

TEST_F(Guest, NamesAndConfiguresCards) {
    const auto card = [] {
        const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
        EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
        EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), size), 0);  // to itself: nobody is there
        return vm::Card{vm::Card::Kind::udp, base::UniqueFd(fd)};
    };
    VmOptions vm_options = options();
    vm_options.cards[0] = card();
    vm_options.cards[1] = card();
    agent::Setup setup = GuestVm::setup();
    // Against the kernel's own order.
    for (const size_t number : {1, 0}) {
        agent::Card* named = setup.add_cards();
        named->set_mac(vm::card_mac(number));
        named->set_name(number == 0 ? "eth1" : "eth0");
        named->set_mtu(number == 0 ? 65280 : 1220);
    }
    const auto vm = start(setup, std::move(vm_options));
    EXPECT_EQ(vm->run({"cat", "/sys/class/net/eth0/address", "/sys/class/net/eth0/mtu"})->out, "90:13:00:00:00:02\n1220\n");
    EXPECT_EQ(vm->run({"cat", "/sys/class/net/eth1/address", "/sys/class/net/eth1/mtu"})->out, "90:13:00:00:00:01\n65280\n");
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
        } catch (const agent::GuestError& error) {
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

}  // namespace
}  // namespace guest_test
