#include "registry/server/server.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <thread>

#include "base/error.h"
#include "base/fd.h"
#include "base/size.h"
#include "registry/server/file_storage.h"
#include "registry/server/maintenance.h"
#include "registry/server/metrics.h"
#include "registry/server/sqlite_metadata.h"

namespace registry::server {
namespace {

constexpr unsigned kGraceSeconds = 10;

// Only one server may use a folder, since it removes half-written files when it starts. The lock is held until the descriptor is closed.
base::UniqueFd lock_folder(const std::filesystem::path& data) {
    base::UniqueFd lock = base::open_file(data / "lock", O_RDWR | O_CREAT);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
    if (errno == EWOULDBLOCK) throw base::Error(data.string() + " is in use by another gvmkit-registry");
    base::throw_errno("cannot lock ", data);
}

// Until one of the signals comes that end us.
void run_maintenance(const ServeOptions& options, const sigset_t& signals, Service& service, HttpServer& http) {
    constexpr auto kBetweenCollections = std::chrono::hours(1);
    constexpr timespec kSecond{.tv_sec = 1, .tv_nsec = 0};
    auto next = std::chrono::steady_clock::now();
    for (int signal = 0; signal != SIGTERM && signal != SIGINT; signal = ::sigtimedwait(&signals, nullptr, &kSecond)) {
        if (signal == SIGHUP) http.read_certificate();
        try {
            service.save_uses();
            if (std::chrono::steady_clock::now() < next) continue;
            next += kBetweenCollections;
            const Collected collected = collect_garbage(service.metadata(), service.storage(), expiry(options.keep_anonymous_days));
            if (collected.uploads + collected.chunks > 0) {
                spdlog::info("removed {} uploads without a tag, and {} chunks of {}", collected.uploads, collected.chunks,
                             base::format_size(collected.bytes));
            }
        } catch (const base::Error& e) {
            spdlog::error("{}", e.what());
        }
    }
}

}  // namespace

Time expiry(double keep_anonymous_days) {
    constexpr double kSecondsPerDay = 86400;
    return std::time(nullptr) - static_cast<Time>(keep_anonymous_days * kSecondsPerDay);
}

std::filesystem::path database_file(const std::filesystem::path& data) {
    return data / "registry.sqlite";
}

void serve(const ServeOptions& options) {
    FileStorage storage(options.data);
    const base::UniqueFd lock = lock_folder(options.data);
    storage.clear_incoming();
    SqliteMetadata metadata(database_file(options.data));

    (void)std::signal(SIGPIPE, SIG_IGN);  // the log's reader may go away
    // Before any thread starts, so that all threads have them blocked.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    if (::pthread_sigmask(SIG_BLOCK, &signals, nullptr) != 0) base::throw_errno("cannot block signals");

    Service service(metadata, storage, options.limits, std::max(1U, std::thread::hardware_concurrency()));
    Metrics metrics;
    {
        HttpServer http(
            options.http, [&](const Request& request) { return route(request, service, options.urls, metrics); },
            [&metrics](const Request& request, unsigned status, uint64_t bytes_in) { metrics.answered(request.method, status, bytes_in); });
        std::printf("listening on %s\n", http.url().c_str());
        (void)std::fflush(stdout);
        run_maintenance(options, signals, service, http);
        http.stop(kGraceSeconds);
    }
    service.stop();
}

}  // namespace registry::server
