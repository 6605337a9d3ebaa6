#include "vm/template_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <random>

#include "base/error.h"

namespace {

namespace asio = boost::asio;

constexpr size_t kMemory = 8 << 20;
const std::string kKey(64, 'k');

base::UniqueFd memfd(const std::string& content = {}, size_t size = 0) {
    base::UniqueFd fd(::memfd_create("test", MFD_CLOEXEC));
    EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(std::max(size, content.size()))), 0);
    EXPECT_EQ(::pwrite(fd.get(), content.data(), content.size(), 0), static_cast<ssize_t>(content.size()));
    return fd;
}

std::string content(int fd) {
    struct stat status {};
    EXPECT_EQ(::fstat(fd, &status), 0);
    std::string text(static_cast<size_t>(status.st_size), '\0');
    EXPECT_EQ(::pread(fd, text.data(), text.size(), 0), status.st_size);
    return text;
}

base::UniqueFd copy_of(int fd) {
    return base::UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

class TemplateFile : public testing::Test {
protected:
    void SetUp() override {
        memory_ = std::string(kMemory, '\0');
        std::mt19937 random(5);  // NOLINT: the same bytes at each run
        const auto scribble = [&](size_t offset, size_t size) {
            for (size_t i = 0; i < size; i++)
                memory_[offset + i] = static_cast<char>(random());
        };
        scribble(0, 1);                     // the first byte
        scribble(16383, 2);                 // over a page's end
        scribble(1 << 20, (1 << 20) + 77);  // longer than a block
        scribble(5 << 20, 12288);
        scribble((5 << 20) + 81920, 4096);  // behind a gap
        scribble(kMemory - 1, 1);           // the last byte
        saved_.memory = memfd(memory_);
        saved_.devices = memfd("what the devices are");
        file_ = memfd();
        write();
    }

    void write() {
        asio::io_context io;
        std::exception_ptr failure;
        asio::co_spawn(io, vm::TemplateFile::write(file_.get(), kKey, saved_),
                       [&](std::exception_ptr error) { failure = std::move(error); });
        io.run();
        if (failure) std::rethrow_exception(failure);
    }

    // What reading all of it ends with.
    std::string trouble(const std::string& key = kKey, size_t memory = kMemory) {
        try {
            const vm::TemplateFile file(copy_of(file_.get()), key);
            (void)file.devices();
            file.fill(memfd({}, memory).get());
        } catch (const base::Error& e) {
            return e.what();
        }
        return "none";
    }

    std::string memory_;
    vm::SavedVm saved_;
    base::UniqueFd file_;
};

TEST_F(TemplateFile, GivesBackWhatWasSaved) {
    const vm::TemplateFile file(copy_of(file_.get()), kKey);
    const base::UniqueFd memory = memfd({}, kMemory);
    file.fill(memory.get());
    EXPECT_TRUE(content(memory.get()) == memory_);
    const base::UniqueFd devices = file.devices();
    EXPECT_EQ(content(devices.get()), "what the devices are");
    EXPECT_EQ(::lseek(devices.get(), 0, SEEK_CUR), 0);
    EXPECT_LT(content(file_.get()).size(), (2U << 20)) << "zero pages are not stored";
}

TEST_F(TemplateFile, HoldsAMemoryOfZeroes) {
    saved_.memory = memfd({}, kMemory);
    file_ = memfd();
    write();
    EXPECT_EQ(trouble(), "none");
}

TEST_F(TemplateFile, ServesItsOwnKindOnly) {
    EXPECT_EQ(trouble(std::string(64, 'x')), "the template is of another kind of VM");
    EXPECT_EQ(trouble(kKey, kMemory / 2), "the template is of a VM with another amount of memory");
}

TEST_F(TemplateFile, NoticesAnyByteThatIsWrong) {
    const std::string whole = content(file_.get());
    std::mt19937 random(6);  // NOLINT: the same places at each run
    std::vector<size_t> places{0, 10, 80, 100, whole.size() - 1};
    for (int i = 0; i < 200; i++)
        places.push_back(random() % whole.size());
    for (const size_t place : places) {
        std::string damaged = whole;
        damaged[place] = static_cast<char>(damaged[place] ^ 0x40);
        file_ = memfd(damaged);
        EXPECT_NE(trouble(), "none") << "at byte " << place;
    }
    for (const size_t size : {size_t{0}, size_t{1}, size_t{100}, whole.size() / 2, whole.size() - 1}) {
        file_ = memfd(whole.substr(0, size));
        EXPECT_EQ(trouble(), "the template is truncated") << "at " << size;
    }
    file_ = memfd(whole + "more");
    EXPECT_EQ(trouble(), "the template is truncated");
    file_ = memfd(whole);
    EXPECT_EQ(trouble(), "none");
}

TEST_F(TemplateFile, SaysThatTheDiskIsFull) {
    file_.reset(::open("/dev/full", O_RDWR | O_CLOEXEC));
    try {
        write();
        FAIL();
    } catch (const base::Error& e) {
        EXPECT_STREQ(e.what(), "cannot write: No space left on device");
    }
}

}  // namespace
