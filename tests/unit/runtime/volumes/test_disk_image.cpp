#include "runtime/volumes/disk_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/subprocess.h"

namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Scratch : public testing::Test {
protected:
    void SetUp() override {
        std::string name = fs::temp_directory_path() / "disk-image-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
    }
    void TearDown() override { fs::remove_all(folder_); }

    fs::path folder_;
};

std::string error_of(const fs::path& path, uint64_t bytes) {
    try {
        runtime::make_disk_image(path, bytes);
    } catch (const base::Error& e) {
        return e.what();
    }
    return "no error";
}

TEST_F(Scratch, IsASoundAndSparseFileSystem) {
    const fs::path image = folder_ / "image";
    runtime::make_disk_image(image, 10ULL << 30);
    struct stat status {};
    ASSERT_EQ(::stat(image.c_str(), &status), 0);
    EXPECT_EQ(status.st_size, 10LL << 30);
    EXPECT_LT(status.st_blocks * 512, 1 << 20);
    EXPECT_EQ(status.st_mode & 0777, 0600U);
    const base::Finished checked = base::run({"e2fsck", "-f", "-n", image});
    EXPECT_EQ(checked.code, 0) << checked.output;
    const std::string header = base::run({"dumpe2fs", "-h", image}).output;
    EXPECT_EQ(header.find("has_journal"), std::string::npos) << header;
    EXPECT_THAT(header, HasSubstr("Reserved block count:     0\n"));
    // Nothing is left that the guest's kernel would have to clear in the background.
    EXPECT_THAT(base::run({"dumpe2fs", image}).output, HasSubstr("ITABLE_ZEROED"));
}

TEST_F(Scratch, HasASmallestSize) {
    runtime::make_disk_image(folder_ / "image", 1 << 20);
    EXPECT_EQ(base::run({"e2fsck", "-f", "-n", folder_ / "image"}).code, 0);
    EXPECT_EQ(error_of(folder_ / "small", 1 << 19), "a disk of 512.0 KiB is too small: at least 1.0 MiB");
    EXPECT_EQ(error_of(folder_ / "none", 0), "a disk of 0 B is too small: at least 1.0 MiB");
    EXPECT_FALSE(fs::exists(folder_ / "small"));
}

TEST_F(Scratch, NamesTheReasonAndLeavesNothing) {
    EXPECT_EQ(error_of(folder_ / "no" / "image", 1 << 20), "cannot make a disk image of 1.0 MiB at " + (folder_ / "no/image").string() +
                                                               ": cannot create " + (folder_ / "no/image").string() +
                                                               ": No such file or directory");
    EXPECT_THAT(error_of(folder_ / "huge", 1ULL << 62), testing::EndsWith(": cannot set its size: File too large"));
    EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(Scratch, SaysThatTheHostsDiskIsFull) {
    if (::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=64k") < 0) GTEST_SKIP() << "no right to mount a file system";
    const std::string error = error_of(folder_ / "image", 1ULL << 30);
    const bool clean = fs::is_empty(folder_);
    ASSERT_EQ(::umount(folder_.c_str()), 0);
    EXPECT_THAT(error, HasSubstr("the host's disk is full"));
    EXPECT_TRUE(clean);
}

}  // namespace
