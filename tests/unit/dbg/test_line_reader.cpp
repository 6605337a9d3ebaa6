#include "dbg/line_reader.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <vector>

#include "base/fd.h"
#include "replaced_fd.h"

namespace dbg {
namespace {
namespace asio = boost::asio;

std::vector<std::string> all_lines(int fd) {
    const ReplacedFd input(STDIN_FILENO, fd);
    asio::io_context io;
    LineReader reader(io.get_executor());
    std::vector<std::string> lines;
    bool ended = false;
    while (!ended) {
        reader.next([&lines, &ended](std::optional<std::string> line) {
            if (line) lines.push_back(*line);
            ended = !line;
        });
        io.restart();
        io.run();
    }
    return lines;
}

TEST(LineReader, PipeAndItsLastLineWithoutANewline) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    base::UniqueFd read_end(ends[0]);
    base::UniqueFd write_end(ends[1]);
    base::write_all(write_end.get(), "one\n\ntwo words\nlast", "the pipe");
    write_end.reset();
    EXPECT_THAT(all_lines(read_end.get()), testing::ElementsAre("one", "", "two words", "last"));
    EXPECT_EQ(::fcntl(read_end.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST(LineReader, File) {
    std::FILE* file = std::tmpfile();
    ASSERT_NE(file, nullptr);
    const std::string longer(10000, 'x');
    base::write_all(::fileno(file), longer + "\nend\n", "a file");
    ASSERT_EQ(::lseek(::fileno(file), 0, SEEK_SET), 0);
    EXPECT_THAT(all_lines(::fileno(file)), testing::ElementsAre(longer, "end"));
    (void)std::fclose(file);
}

TEST(LineReader, NothingAtAll) {
    const base::UniqueFd null = base::open_file("/dev/null", O_RDONLY);
    EXPECT_THAT(all_lines(null.get()), testing::IsEmpty());
}

}  // namespace
}  // namespace dbg
