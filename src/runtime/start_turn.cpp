#include "runtime/start_turn.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <string>
#include <system_error>
#include <thread>

#include "base/log.h"

namespace runtime {
namespace asio = boost::asio;
namespace {

base::UniqueFd open_in(const base::UniqueFd& folder, const std::string& name) {
    return base::UniqueFd(::openat(folder.get(), name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
}

// Counts up, so that waiting processes spread evenly.
uint64_t next_number(const base::UniqueFd& folder) {
    uint64_t number = 0;
    const base::UniqueFd file = open_in(folder, "next");
    if (!file || ::flock(file.get(), LOCK_EX) < 0) return number;
    (void)!::pread(file.get(), &number, sizeof number, 0);
    const uint64_t next = number + 1;
    (void)!::pwrite(file.get(), &next, sizeof next, 0);
    return number;
}

// Shared by a thread that waits for a lock and the coroutine that waits for the thread, which may give up first.
struct Waiting {
    base::UniqueFd lock;
    base::UniqueFd done;  // an eventfd
};

void wait_for_lock(const std::shared_ptr<Waiting>& waiting) {
    const uint64_t one = 1;
    if (::flock(waiting->lock.get(), LOCK_EX) == 0) (void)!::write(waiting->done.get(), &one, sizeof one);
}

asio::awaitable<base::UniqueFd> wait_in_thread(asio::any_io_executor executor, base::UniqueFd lock,
                                               std::chrono::steady_clock::duration limit) {
    auto waiting = std::make_shared<Waiting>();
    waiting->lock = std::move(lock);
    waiting->done.reset(::eventfd(0, EFD_CLOEXEC));
    const auto done = std::make_shared<asio::posix::stream_descriptor>(executor, base::copy_of(waiting->done).release());
    try {
        std::thread(wait_for_lock, waiting).detach();
    } catch (const std::system_error&) {  // no thread can be started
        co_return base::UniqueFd();
    }
    asio::steady_timer timer(executor, limit);
    timer.async_wait([done](const boost::system::error_code& error) {
        if (!error) done->cancel();
    });
    const auto token = asio::as_tuple(asio::use_awaitable);
    const auto [error] = co_await done->async_wait(asio::posix::stream_descriptor::wait_read, token);
    co_return error ? base::UniqueFd() : std::move(waiting->lock);
}

}  // namespace

asio::awaitable<base::UniqueFd> take_turn(asio::any_io_executor executor, std::filesystem::path cache_dir,
                                          std::chrono::steady_clock::duration limit) {
    if (cache_dir.empty()) co_return base::UniqueFd();
    const std::filesystem::path path = cache_dir / "starts";
    std::error_code ignored;
    std::filesystem::create_directories(cache_dir, ignored);
    (void)::mkdir(path.c_str(), 0700);
    const base::UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder) co_return base::UniqueFd();
    const unsigned turns = std::max(1U, std::thread::hardware_concurrency());
    const uint64_t number = next_number(folder);
    for (unsigned i = 0; i < turns; i++) {
        base::UniqueFd lock = open_in(folder, std::to_string((number + i) % turns));
        if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) co_return lock;
    }
    base::UniqueFd lock = open_in(folder, std::to_string(number % turns));
    if (!lock) co_return lock;
    lock = co_await wait_in_thread(executor, std::move(lock), limit);
    if (!lock)
        spdlog::info("starting without a slot after {} s: other VMs are still starting, or one hangs",
                     std::chrono::duration<double>(limit).count());
    co_return lock;
}

}  // namespace runtime
