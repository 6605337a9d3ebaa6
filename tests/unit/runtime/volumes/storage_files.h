// Files and folders that take space, for the tests of what a VM holds.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/fd.h"

namespace storage_test {

inline base::UniqueFd opened(const std::filesystem::path& folder) {
    return base::open_file(folder, O_RDONLY | O_DIRECTORY);
}

// Appends that many bytes to a file, which has their blocks then.
inline void fill(const std::filesystem::path& path, size_t size) {
    std::ofstream(path, std::ios::app) << std::string(size, 'x');
    const base::UniqueFd file = base::open_file(path, O_RDWR);
    ASSERT_EQ(::fsync(file.get()), 0);
}

// `levels` folders, one in the other, whatever the length of their path; returns the innermost.
inline base::UniqueFd nest(const std::filesystem::path& top, size_t levels) {
    base::UniqueFd at = opened(top);
    for (size_t i = 0; i < levels; i++) {
        EXPECT_EQ(::mkdirat(at.get(), "d", 0700), 0);
        at.reset(::openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    return at;
}

}  // namespace storage_test
