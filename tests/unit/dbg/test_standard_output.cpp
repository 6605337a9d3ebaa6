#include "dbg/standard_output.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <cerrno>
#include <csignal>
#include <future>
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace dbg {
namespace {
namespace asio = boost::asio;

TEST(StandardOutput, SlowReaderDoesNotBlockTheLoop) {
    auto [read_end, write_end] = base::make_pipe();
    asio::io_context io;
    StandardOutput output(io.get_executor(), write_end.get());
    const std::string data(300000, 'x');  // more than a pipe holds
    auto written = asio::co_spawn(io, output.write(data), asio::use_future);
    io.poll();  // returns although nobody has read
    EXPECT_EQ(written.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
    EXPECT_EQ(::fcntl(write_end.get(), F_GETFL) & O_NONBLOCK, 0);  // others write to it, too
    std::string all;
    while (all.size() < data.size()) {
        char block[4096];
        const ssize_t size = ::read(read_end.get(), block, sizeof block);
        ASSERT_GT(size, 0);
        all.append(block, static_cast<size_t>(size));
        io.poll();
    }
    written.get();
    EXPECT_EQ(all, data);
}

TEST(StandardOutput, ReaderThatHasGone) {
    (void)std::signal(SIGPIPE, SIG_IGN);
    auto [read_end, write_end] = base::make_pipe();
    asio::io_context io;
    StandardOutput output(io.get_executor(), write_end.get());
    read_end.reset();
    auto written = asio::co_spawn(io, output.write("x"), asio::use_future);
    io.run();
    try {
        written.get();
        ADD_FAILURE() << "nobody could read it";
    } catch (const base::SystemError& e) {
        EXPECT_EQ(e.error_number(), EPIPE);
    }
}

TEST(StandardOutput, FileIsWrittenWhereItStands) {
    const base::UniqueFd file = base::memory_file("output");
    base::write_all(file.get(), "before ", "file");
    asio::io_context io;
    StandardOutput output(io.get_executor(), file.get());
    auto written = asio::co_spawn(io, output.write("after"), asio::use_future);
    io.run();
    written.get();
    char text[16] = {};
    EXPECT_EQ(::pread(file.get(), text, sizeof text - 1, 0), 12);
    EXPECT_STREQ(text, "before after");
}

}  // namespace
}  // namespace dbg
