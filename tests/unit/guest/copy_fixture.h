// What the tests of the guest's copies share: a folder, and tars in files.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/fd.h"
#include "init/tar_create.h"
#include "init/tar_extract.h"

namespace copy_test {

namespace fs = std::filesystem;

inline std::string content_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline struct stat stat_of(const fs::path& path) {
    struct stat st {};
    EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
    return st;
}

class Copy : public testing::Test {
protected:
    Copy() {
        std::string pattern = (fs::temp_directory_path() / "copy-test-XXXXXX").string();
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        work_ = pattern;
        fs::create_directory(work_ / "to");
        ::umask(0);
    }
    ~Copy() override {
        ::umask(022);
        fs::remove_all(work_);
    }

    // A folder with files of every name, a hard link and a symbolic one that leads out.
    fs::path make_tree() const {
        fs::path tree = work_ / "tree";
        const std::string deep = std::string(200, 'd') + "/" + std::string(200, 'e');
        fs::create_directories(tree / deep);
        for (const std::string& name :
             {std::string("\xc3\xa9"), std::string("\xff\xfe"), std::string(255, 'n'), std::string("new\nline"), deep + "/f"})
            std::ofstream(tree / name) << "in " << name;
        fs::create_symlink("../../../outside", tree / "out");
        fs::create_hard_link(tree / "\xff\xfe", tree / "hard");
        return tree;
    }

    // The tar; where there is none, why.
    std::string create(const std::string& path) {
        const base::UniqueFd out(::open((work_ / "out.tar").c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600));
        const base::UniqueFd messages(::open((work_ / "messages").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
        const init::Status status = init::create_tar(path, out.get(), messages.get());
        messages_ = content_of(work_ / "messages");
        return status.ok() ? content_of(work_ / "out.tar") : "error: " + status.text;
    }

    // Why it failed; empty where it did not. Checks that all of the tar was read.
    std::string extract(const std::string& tar, const std::string& path, const std::string& name) {
        std::ofstream(work_ / "in.tar", std::ios::binary) << tar;
        const base::UniqueFd in(::open((work_ / "in.tar").c_str(), O_RDONLY));
        const base::UniqueFd messages(::open((work_ / "messages").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
        const init::Status status = init::extract_tar(path, name, in.get(), messages.get());
        messages_ = content_of(work_ / "messages");
        EXPECT_EQ(::lseek(in.get(), 0, SEEK_CUR), static_cast<off_t>(tar.size()));
        return status.text;
    }

    fs::path work_;
    std::string messages_;
};

}  // namespace copy_test
