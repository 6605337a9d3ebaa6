#include "dbg/standard_input.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <string>

#include "base/fd.h"
#include "replaced_fd.h"

namespace dbg {
namespace {
namespace asio = boost::asio;

asio::awaitable<void> read_all(StandardInput& input, std::string& all) {
    for (;;) {
        const std::string_view bytes = co_await input.read();
        if (bytes.empty()) co_return;
        all += bytes;
    }
}

TEST(StandardInput, PipeUpToItsEnd) {
    auto [read_end, write_end] = base::make_pipe();
    const ReplacedFd replaced(STDIN_FILENO, read_end.get());
    asio::io_context io;
    StandardInput input(io.get_executor());
    std::string all;
    asio::co_spawn(io, read_all(input, all), asio::detached);
    io.poll();
    base::write_all(write_end.get(), std::string("a\0b", 3), "pipe");
    io.run_one();
    io.poll();
    EXPECT_EQ(all, std::string("a\0b", 3));
    EXPECT_EQ(::fcntl(read_end.get(), F_GETFL) & O_NONBLOCK, 0);  // others read it, too
    write_end.reset();
    io.run();
    EXPECT_EQ(all.size(), 3);
}

TEST(StandardInput, File) {
    const base::UniqueFd file = base::memory_file("input");
    base::write_all(file.get(), std::string(100000, 'x'), "file");
    ::lseek(file.get(), 0, SEEK_SET);
    const ReplacedFd replaced(STDIN_FILENO, file.get());
    asio::io_context io;
    StandardInput input(io.get_executor());
    std::string all;
    asio::co_spawn(io, read_all(input, all), asio::detached);
    io.run();
    EXPECT_EQ(all.size(), 100000);
}

TEST(StandardInput, StopEndsTheWait) {
    auto [read_end, write_end] = base::make_pipe();
    const ReplacedFd replaced(STDIN_FILENO, read_end.get());
    asio::io_context io;
    StandardInput input(io.get_executor());
    std::string all;
    asio::co_spawn(io, read_all(input, all), asio::detached);
    io.poll();
    input.stop();
    io.run();
    EXPECT_EQ(all, "");
}

}  // namespace
}  // namespace dbg
