// A share as QEMU leaves it: what the tests of its two sides need.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "base/temporary_folder.h"

namespace share_test {

namespace fs = std::filesystem;

constexpr uid_t kNobody = 65534;

// The folders of a share and its surroundings. Root gives its power up, since QEMU and we have none on most hosts.
class Share : public testing::Test {
protected:
    void SetUp() override {
        const fs::path top = folder_.path();
        if (::geteuid() == 0) {
            ASSERT_EQ(::chown(top.c_str(), kNobody, kNobody), 0);
            ASSERT_EQ(::setegid(kNobody), 0);
            ASSERT_EQ(::seteuid(kNobody), 0);
        }
        volume = top / "volumes/vol-1";
        fs::create_directories(volume);
    }
    void TearDown() override {
        if (::getuid() == 0 && (::seteuid(0) != 0 || ::setegid(0) != 0)) std::abort();
    }

    static void set(const fs::path& path, const char* name, uint32_t value) {
        ASSERT_EQ(::setxattr(path.c_str(), name, &value, sizeof value, 0), 0) << path;
    }
    static std::optional<uint32_t> attribute(const fs::path& path, const char* name) {
        uint32_t value = 0;
        if (::lgetxattr(path.c_str(), name, &value, sizeof value) != sizeof value) return std::nullopt;
        return value;
    }

    // What QEMU does for a guest's open, mkdir, symlink or mknod, and for its chmod.
    static void guest_makes(const fs::path& path, mode_t mode, const std::string& content = {}) {
        if (S_ISDIR(mode)) {
            ASSERT_EQ(::mkdir(path.c_str(), 0700), 0) << path;
        } else {
            std::ofstream(path) << content;
            ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
        }
        set(path, "user.virtfs.uid", 1000);
        set(path, "user.virtfs.gid", 1000);
        guest_changes(path, mode);
    }
    static void guest_changes(const fs::path& path, mode_t mode) { set(path, "user.virtfs.mode", mode); }

    static void host_makes(const fs::path& path, mode_t mode) {
        std::ofstream(path) << "host";
        ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    }

    static mode_t mode(const fs::path& path) {
        struct stat st {};
        EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
        return st.st_mode;
    }
    // The mode that the guest sees.
    static mode_t guest_mode(const fs::path& path) { return attribute(path, "user.virtfs.mode").value_or(0); }

    fs::path top() const { return folder_.path(); }

    fs::path volume;

private:
    base::TemporaryFolder folder_;
};

}  // namespace share_test
