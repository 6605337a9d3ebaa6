#include "runtime/counters.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <fstream>

namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;

uint64_t allocated_below(const fs::path& folder) {
    asio::io_context io;
    uint64_t found = 0;
    std::exception_ptr error;
    asio::co_spawn(io, runtime::allocated_below(io.get_executor(), folder), [&](std::exception_ptr e, uint64_t bytes) {
        error = std::move(e);
        found = bytes;
    });
    io.run();
    if (error) std::rethrow_exception(error);
    return found;
}

TEST(AllocatedBelow, CountsBlocksOfManyFiles) {
    std::string name = fs::temp_directory_path() / "counters-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    const fs::path folder = name;
    EXPECT_EQ(allocated_below(folder), 0U);
    EXPECT_EQ(allocated_below(folder / "none"), 0U);
    fs::create_directories(folder / "a/b");
    const std::string text(4096, 'x');
    for (int i = 0; i < 1000; i++)
        std::ofstream(folder / "a/b" / std::to_string(i)) << text;
    fs::create_symlink("/usr", folder / "link");  // is not followed
    std::ofstream(folder / "sparse") << "";
    fs::resize_file(folder / "sparse", uint64_t{1} << 30);
    ::sync();  // blocks are allocated when they are written
    const uint64_t found = allocated_below(folder);
    EXPECT_GE(found, 4096U * 1000);
    EXPECT_LT(found, 4096U * 1100);
    fs::remove_all(folder);
}

}  // namespace
