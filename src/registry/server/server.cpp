#include "registry/server/server.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <thread>

#include "base/error.h"
#include "base/fd.h"
#include "registry/server/file_storage.h"
#include "registry/server/sqlite_metadata.h"

namespace registry::server {
namespace {

constexpr unsigned kGraceSeconds = 10;

// Only one server may use a folder: a starting one throws away what is half-written. Held until the descriptor is closed.
base::UniqueFd lock_folder(const std::filesystem::path& data) {
    base::UniqueFd lock = base::open_file(data / "lock", O_RDWR | O_CREAT);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
    if (errno == EWOULDBLOCK) throw base::Error(data.string() + " is in use by another gvmkit-registry");
    base::throw_errno("cannot lock " + data.string());
}

}  // namespace

std::filesystem::path database_file(const std::filesystem::path& data) {
    return data / "registry.sqlite";
}

void serve(const ServeOptions& options) {
    FileStorage storage(options.data);
    const base::UniqueFd lock = lock_folder(options.data);
    storage.clear_incoming();
    SqliteMetadata metadata(database_file(options.data));

    // Before there are threads, so that all have them blocked.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    if (::pthread_sigmask(SIG_BLOCK, &signals, nullptr) != 0) base::throw_errno("cannot block signals");

    Service service(metadata, storage, options.limits, std::max(1U, std::thread::hardware_concurrency()));
    {
        HttpServer http(
            options.http, [&](const Request& request) { return route(request, service, options.urls); },
            [](const Request&, unsigned, uint64_t) {});
        std::printf("listening on %s\n", http.url().c_str());
        (void)std::fflush(stdout);
        timespec second{.tv_sec = 1, .tv_nsec = 0};
        while (::sigtimedwait(&signals, nullptr, &second) < 0)
            service.save_uses();
        http.stop(kGraceSeconds);
    }
    service.stop();
}

}  // namespace registry::server
