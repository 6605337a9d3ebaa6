#include "runtime/volumes/mapped_entry.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"
#include "share_fixture.h"

namespace {

namespace fs = std::filesystem;
using runtime::Entry;

class SharedEntry : public share_test::Share {
protected:
    Entry settle(const std::string& name, bool in_use = true) {
        const base::UniqueFd folder(::open(volume.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        const base::UniqueFd staging(::open(top().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        return runtime::settle(folder.get(), name, {.owner = {1234, 5678}, .staging = staging.get(), .in_use = in_use});
    }
    void expect_modes(const std::string& name, mode_t host, mode_t guest) {
        EXPECT_EQ(mode(volume / name), host) << name << std::oct << mode(volume / name);
        EXPECT_EQ(guest_mode(volume / name), guest) << name << std::oct << guest_mode(volume / name);
    }
};

TEST_F(SharedEntry, TheGuestsRwxBitsBecomeTheHosts) {
    guest_makes(volume / "program", S_IFREG | 0755);
    guest_makes(volume / "text", S_IFREG | 0644);
    guest_makes(volume / "folder", S_IFDIR | 0751);
    guest_makes(volume / "setuid", S_IFREG | 06755);
    guest_makes(volume / "sticky", S_IFDIR | 01777);
    for (const char* name : {"program", "text", "folder", "setuid", "sticky"})
        EXPECT_FALSE(settle(name).narrow);
    expect_modes("program", S_IFREG | 0755, S_IFREG | 0755);
    expect_modes("text", S_IFREG | 0644, S_IFREG | 0644);
    expect_modes("folder", S_IFDIR | 0751, S_IFDIR | 0751);
    expect_modes("setuid", S_IFREG | 0755, S_IFREG | 06755);
    expect_modes("sticky", S_IFDIR | 0777, S_IFDIR | 01777);
    EXPECT_EQ(attribute(volume / "program", "user.virtfs.uid"), 1000U);

    guest_changes(volume / "program", S_IFREG | 0700);
    settle("program");
    expect_modes("program", S_IFREG | 0700, S_IFREG | 0700);
}

TEST_F(SharedEntry, WhatTheHostMakesIsTheUsers) {
    host_makes(volume / "secret", 0600);
    host_makes(volume / "script", 0755);
    host_makes(volume / "setuid", 04755);
    fs::create_directory(volume / "folder");
    for (const char* name : {"secret", "script", "folder", "setuid"}) {
        settle(name);
        EXPECT_EQ(attribute(volume / name, "user.virtfs.uid"), 1234U);
        EXPECT_EQ(attribute(volume / name, "user.virtfs.gid"), 5678U);
    }
    expect_modes("secret", S_IFREG | 0600, S_IFREG | 0600);
    expect_modes("script", S_IFREG | 0755, S_IFREG | 0755);
    expect_modes("setuid", S_IFREG | 0755, S_IFREG | 0755);
    EXPECT_EQ(guest_mode(volume / "folder"), mode(volume / "folder"));
}

TEST_F(SharedEntry, WhoHasChangedAModeLastIsRight) {
    guest_makes(volume / "guests", S_IFREG | 04711);
    settle("guests");
    fs::permissions(volume / "guests", fs::perms(0640));
    settle("guests");
    expect_modes("guests", S_IFREG | 0640, S_IFREG | 04640);
    EXPECT_EQ(attribute(volume / "guests", "user.virtfs.uid"), 1000U);

    host_makes(volume / "hosts", 0644);
    settle("hosts");
    guest_changes(volume / "hosts", S_IFREG | 0600);
    settle("hosts");
    expect_modes("hosts", S_IFREG | 0600, S_IFREG | 0600);
    settle("hosts");
    expect_modes("hosts", S_IFREG | 0600, S_IFREG | 0600);
}

TEST_F(SharedEntry, ModesThatKeepQemuOutGiveWayAndAtRestThoseThatKeepReadersOut) {
    const std::pair<mode_t, mode_t> modes[] = {{S_IFREG | 0444, S_IFREG | 0644},
                                               {S_IFREG | 0000, S_IFREG | 0600},
                                               {S_IFREG | 0311, S_IFREG | 0711},
                                               {S_IFDIR | 0555, S_IFDIR | 0755},
                                               {S_IFDIR | 0000, S_IFDIR | 0700}};
    for (const auto& [wanted, wide] : modes) {
        guest_makes(volume / "x", wanted);
        for (int round = 0; round < 2; round++) {
            EXPECT_TRUE(settle("x").narrow);
            expect_modes("x", wide, wanted);
            EXPECT_TRUE(settle("x", false).narrow);
            EXPECT_EQ(mode(volume / "x"), wanted | (S_ISDIR(wanted) ? 0500 : 0400));
        }
        fs::remove(volume / "x");
    }
    host_makes(volume / "x", 0400);
    EXPECT_TRUE(settle("x").narrow);
    expect_modes("x", S_IFREG | 0600, S_IFREG | 0400);
    guest_changes(volume / "x", S_IFREG | 0640);
    EXPECT_FALSE(settle("x", false).narrow);
    expect_modes("x", S_IFREG | 0640, S_IFREG | 0640);
}

TEST_F(SharedEntry, ASymlinkOfTheHostsBecomesTheGuests) {
    const std::string odd = "../../\n\xff";
    fs::create_symlink("/etc/passwd", volume / "link");
    fs::create_symlink(odd, volume / odd.substr(6));
    settle("link");
    settle(odd.substr(6));
    expect_modes("link", S_IFREG | 0600, S_IFLNK | 0777);
    EXPECT_EQ(attribute(volume / "link", "user.virtfs.uid"), 1234U);
    std::string content;
    std::getline(std::ifstream(volume / "link"), content, '\0');
    EXPECT_EQ(content, "/etc/passwd");
    std::getline(std::ifstream(volume / odd.substr(6)), content, '\0');
    EXPECT_EQ(content, odd);
    settle("link");
    expect_modes("link", S_IFREG | 0600, S_IFLNK | 0777);
    EXPECT_EQ(std::distance(fs::directory_iterator(top()), {}), 1) << "what was staged is gone";
}

TEST_F(SharedEntry, TheGuestsSpecialFilesStayAsTheyAre) {
    for (const mode_t type : {S_IFLNK, S_IFBLK, S_IFCHR, S_IFIFO, S_IFSOCK}) {
        guest_makes(volume / "x", type | 04777, "/etc/passwd");
        EXPECT_EQ(settle("x").kind, Entry::Kind::other);
        expect_modes("x", S_IFREG | 0600, type | 04777);
        fs::remove(volume / "x");
    }
    // What no guest can make by QEMU, but lies.
    guest_makes(volume / "x", S_IFDIR | 0777);
    guest_changes(volume / "x", S_IFREG | 0777);
    EXPECT_EQ(settle("x").kind, Entry::Kind::folder);
    expect_modes("x", S_IFDIR | 0700, S_IFREG | 0777);
}

TEST_F(SharedEntry, NothingIsFollowedOrOpened) {
    const fs::path outside = top() / "outside";
    host_makes(outside, 0640);
    fs::create_symlink(outside, volume / "link");
    settle("link");
    EXPECT_EQ(mode(outside), S_IFREG | 0640U);
    EXPECT_FALSE(attribute(outside, "user.virtfs.mode"));
    ASSERT_EQ(::mkfifo((volume / "fifo").c_str(), 0644), 0);
    EXPECT_EQ(settle("fifo").kind, Entry::Kind::other);  // and does not hang
    EXPECT_EQ(mode(volume / "fifo"), S_IFIFO | 0644U);
    EXPECT_EQ(settle("missing").kind, Entry::Kind::gone);
}

TEST_F(SharedEntry, GarbageInTheAttributesIsAsGoodAsNone) {
    const std::string huge(1000, 'x');
    for (const std::string& garbage : {std::string(), std::string("x"), std::string("12345678"), huge}) {
        host_makes(volume / "x", 0644);
        for (const char* name : {"user.virtfs.mode", "user.virtfs.uid", "user.virtfs.gvmkit.agreed"})
            ASSERT_EQ(::setxattr((volume / "x").c_str(), name, garbage.data(), garbage.size(), 0), 0);
        settle("x");
        expect_modes("x", S_IFREG | 0644, S_IFREG | 0644);
        EXPECT_EQ(attribute(volume / "x", "user.virtfs.uid"), 1234U);
        fs::remove(volume / "x");
    }
}

}  // namespace
