#include "vm/template_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"

namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class TemplateStore : public testing::Test {
protected:
    void SetUp() override {
        std::string name = fs::temp_directory_path() / "store-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        root_ = name;
        folder_ = root_ / "cache/templates";
    }
    void TearDown() override { fs::remove_all(root_); }

    static void add(const vm::TemplateStore& store, const std::string& key, size_t bytes = 0, uint64_t limit = UINT64_MAX) {
        const base::UniqueFd file = store.create();
        base::write_all(file.get(), std::string(bytes, 'x'), key);
        store.publish(file, key, limit);
    }

    // The keys that are there, sorted.
    std::vector<std::string> keys() const {
        std::vector<std::string> found;
        for (const auto& entry : fs::directory_iterator(folder_))
            found.push_back(entry.path().stem());
        std::sort(found.begin(), found.end());
        return found;
    }

    std::string refusal() const {
        try {
            const vm::TemplateStore store(folder_);
        } catch (const base::Error& e) {
            return e.what();
        }
        return "none";
    }

    fs::path root_;
    fs::path folder_;
};

TEST_F(TemplateStore, KeepsWhatIsPublishedAndNothingElse) {
    const vm::TemplateStore store(folder_);
    EXPECT_FALSE(store.find("a"));
    {
        const base::UniqueFd file = store.create();
        base::write_all(file.get(), "half", "a");
    }
    EXPECT_THAT(keys(), ElementsAre());
    add(store, "a", 5);
    EXPECT_THAT(keys(), ElementsAre("a"));
    const base::UniqueFd file = store.find("a");
    ASSERT_TRUE(file);
    char text[6] = {};
    EXPECT_EQ(::read(file.get(), text, sizeof text), 5);
    add(store, "a", 7);  // somebody was faster: theirs is as good
    EXPECT_EQ(fs::file_size(folder_ / "a.template"), 5U);
    store.remove("a");
    EXPECT_FALSE(store.find("a"));
    EXPECT_EQ(::pread(file.get(), text, sizeof text, 0), 5) << "who has it open keeps it";
}

TEST_F(TemplateStore, IsForOneUserAlone) {
    EXPECT_EQ(refusal(), "none");
    struct stat status {};
    ASSERT_EQ(::stat(folder_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700U);
    ASSERT_EQ(::chmod(folder_.c_str(), 0770), 0);
    EXPECT_THAT(refusal(), HasSubstr("belongs to another user, or others may write to it"));
    ASSERT_EQ(::chmod(folder_.c_str(), 0700), 0);
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give the folder to another user";
    ASSERT_EQ(::chown(folder_.c_str(), 12345, 12345), 0);
    EXPECT_THAT(refusal(), HasSubstr("belongs to another user, or others may write to it"));
}

TEST_F(TemplateStore, DoesNotUseWhatOthersCouldHaveWritten) {
    const vm::TemplateStore store(folder_);
    add(store, "a");
    ASSERT_EQ(::chmod((folder_ / "a.template").c_str(), 0620), 0);
    EXPECT_FALSE(store.find("a"));
    ASSERT_EQ(::chmod((folder_ / "a.template").c_str(), 0600), 0);
    EXPECT_TRUE(store.find("a"));
    fs::create_symlink(folder_ / "a.template", folder_ / "b.template");
    EXPECT_FALSE(store.find("b"));
    fs::create_directory(folder_ / "c.template");
    EXPECT_FALSE(store.find("c"));
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file to another user";
    ASSERT_EQ(::chown((folder_ / "a.template").c_str(), 12345, 12345), 0);
    EXPECT_FALSE(store.find("a"));
}

TEST_F(TemplateStore, ALinkIsNoStore) {
    fs::create_directories(root_ / "elsewhere");
    fs::create_directories(folder_.parent_path());
    fs::create_symlink(root_ / "elsewhere", folder_);
    EXPECT_THAT(refusal(), HasSubstr("cannot open"));
}

TEST_F(TemplateStore, LetsOneMakeTemplatesAtATime) {
    const vm::TemplateStore store(folder_);
    const vm::TemplateStore same(folder_);
    base::UniqueFd lock = store.try_lock();
    EXPECT_TRUE(lock);
    EXPECT_FALSE(same.try_lock());
    lock.reset();
    EXPECT_TRUE(same.try_lock());
}

TEST_F(TemplateStore, ForgetsWhatWasNotUsedForLongest) {
    const vm::TemplateStore store(folder_);
    constexpr size_t kSize = 64 << 10;
    const auto age = [this](const char* key, time_t seconds) {
        const timespec times[2] = {{1000000 - seconds, 0}, {1000000 - seconds, 0}};
        ASSERT_EQ(::utimensat(AT_FDCWD, (folder_ / (std::string(key) + ".template")).c_str(), times, 0), 0);
    };
    for (const char* key : {"a", "b", "c"})
        add(store, key, kSize);
    age("a", 10);
    age("b", 30);
    age("c", 20);
    EXPECT_TRUE(store.find("b"));  // used just now
    add(store, "d", kSize, 3 * kSize);
    EXPECT_THAT(keys(), ElementsAre("a", "b", "d"));
    add(store, "e", kSize, 1);  // the one that is made stays
    EXPECT_THAT(keys(), ElementsAre("e"));
}

TEST_F(TemplateStore, RemembersForADayWhatDoesNotWork) {
    const vm::TemplateStore store(folder_);
    EXPECT_FALSE(store.is_refused("a"));
    store.refuse("a");
    EXPECT_TRUE(store.is_refused("a"));
    EXPECT_FALSE(store.is_refused("b"));
    const timespec yesterday{::time(nullptr) - (24 * 60 * 60 + 1), 0};
    const timespec times[2] = {yesterday, yesterday};
    ASSERT_EQ(::utimensat(AT_FDCWD, (folder_ / "a.refused").c_str(), times, 0), 0);
    EXPECT_FALSE(store.is_refused("a"));
    store.refuse("a");
    EXPECT_TRUE(store.is_refused("a"));
}

class TemplateKey : public TemplateStore {
protected:
    void SetUp() override {
        TemplateStore::SetUp();
        machine_.qemu.file = root_ / "qemu";
        machine_.accelerator = vm::Accelerator::tcg;
        machine_.memory_bytes = 256 << 20;
        machine_.kernel = root_ / "vmlinux";
        machine_.initramfs = root_ / "initramfs";
        for (const auto& file : {machine_.qemu.file, machine_.kernel, machine_.initramfs})
            std::ofstream(file) << "one";
    }
    vm::Machine machine_;
};

TEST_F(TemplateKey, IsTheSameForAllMachinesOfAShape) {
    const std::string key = vm::template_key(machine_);
    EXPECT_EQ(key.size(), 64U);
    machine_.share = vm::Share{.folder = root_};
    machine_.disks.push_back({.file = {}, .serial = "image0", .read_only = true});
    machine_.cards[1].emplace();
    machine_.background = true;
    EXPECT_EQ(vm::template_key(machine_), key);
}

TEST_F(TemplateKey, IsAnotherForEveryOtherShape) {
    std::vector<std::string> seen{vm::template_key(machine_)};
    const auto expect_new = [&] {
        const std::string key = vm::template_key(machine_);
        EXPECT_THAT(seen, testing::Not(testing::Contains(key)));
        seen.push_back(key);
    };
    machine_.cores = 2;
    expect_new();
    machine_.cpu = "Nehalem";
    expect_new();
    machine_.memory_bytes *= 2;
    expect_new();
    machine_.accelerator = vm::Accelerator::kvm;
    expect_new();
    std::ofstream(machine_.initramfs) << "more";
    expect_new();
    std::ofstream(machine_.kernel) << "more";
    expect_new();
    fs::remove(machine_.kernel);
    EXPECT_THROW(vm::template_key(machine_), base::Error);
}

}  // namespace
