#include "registry/server/server.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>

#include "base/error.h"
#include "base/fd.h"
#include "base/size.h"
#include "registry/server/audit_log.h"
#include "registry/server/documents.h"
#include "registry/server/folder_lock.h"
#include "registry/server/maintenance.h"
#include "registry/server/metrics.h"
#include "registry/server/open_metadata.h"

namespace registry::server {
namespace {

constexpr unsigned kGraceSeconds = 10;
constexpr std::chrono::seconds kWebhookGrace{5};
constexpr std::chrono::seconds kAbandoned = std::chrono::hours(1);  // a body that comes is written to every minute at least

// Where events go.
struct Listeners {
    explicit Listeners(const ServeOptions& options) {
        if (!options.audit_log.empty()) audit_log.emplace(options.audit_log);
        if (!options.webhooks.urls.empty()) webhooks.emplace(options.webhooks);
    }

    void tell(const Event& event) {
        if (audit_log) audit_log->tell(event);
        if (webhooks) webhooks->tell(event);
    }
    void count(Metrics& metrics) {
        if (audit_log)
            metrics.add({"audit_lost_total", "counter", "Events that the audit log lacks.", [this] { return audit_log->lost(); }});
        if (!webhooks) return;
        metrics.add({"webhooks_delivered_total", "counter", "Events delivered.", [this] { return webhooks->counts().delivered; }});
        metrics.add({"webhooks_dropped_total", "counter", "Events given up.", [this] { return webhooks->counts().dropped; }});
        metrics.add({"webhooks_waiting", "gauge", "Events not delivered yet.", [this] { return webhooks->counts().waiting; }});
    }

    std::optional<AuditLog> audit_log;
    std::optional<Webhooks> webhooks;
};

// Until one of the signals comes that end us.
void run_maintenance(const sigset_t& signals, Service& service, HttpServer& http, Listeners& listeners) {
    constexpr timespec kSecond{.tv_sec = 1, .tv_nsec = 0};
    for (int signal = 0; signal != SIGTERM && signal != SIGINT; signal = ::sigtimedwait(&signals, nullptr, &kSecond)) {
        if (signal == SIGHUP) http.read_certificate();
        if (signal == SIGHUP && listeners.audit_log) listeners.audit_log->reopen();
        try {
            service.tick();
        } catch (const base::Error& e) {
            spdlog::error("{}", e.what());
        }
    }
}

// Once an hour, and a minute after a failure.
void collect_regularly(Service& service, double keep_anonymous_days, const Tell& tell, const std::stop_token& stop) {
    constexpr std::chrono::seconds kGrace{60};
    while (!stop.stop_requested()) {
        std::chrono::minutes pause{60};
        try {
            remove_old_tags(service.metadata(), Age::not_kept, std::time(nullptr), tell);
            const Collected collected = collect_garbage(service.metadata(), service.storage(), expiry(keep_anonymous_days), kGrace, stop);
            if (collected.uploads + collected.chunks + collected.objects > 0) {
                spdlog::info("removed {} uploads without a tag, {} chunks of {}, and {} objects of images", collected.uploads,
                             collected.chunks, base::format_size(collected.bytes), collected.objects);
            }
        } catch (const std::exception& e) {
            spdlog::error("cannot remove what is not used: {}", e.what());
            pause = std::chrono::minutes(1);
        }
        (void)wait_for(pause, stop);
    }
}

}  // namespace

Time expiry(double keep_anonymous_days) {
    constexpr double kSecondsPerDay = 86400;
    return std::time(nullptr) - static_cast<Time>(keep_anonymous_days * kSecondsPerDay);
}

void serve(const ServeOptions& options) {
    const std::filesystem::path& data = options.store.data;
    std::optional<Documents> documents;
    if (!options.docs.empty()) documents.emplace(options.docs);
    const std::unique_ptr<Storage> storage = open_storage(options.store);
    const bool shared = !options.db.empty();
    const base::UniqueFd lock = lock_folder(data, shared);
    storage->clear_incoming(shared ? kAbandoned : std::chrono::seconds(0));
    const std::unique_ptr<Metadata> metadata = open_metadata(data, options.db);

    (void)std::signal(SIGPIPE, SIG_IGN);  // the log's reader may go away
    // Before any thread starts that does not block them itself.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    if (::pthread_sigmask(SIG_BLOCK, &signals, nullptr) != 0) base::throw_errno("cannot block signals");

    Listeners listeners(options);
    const Tell tell = [&listeners](const Event& event) { listeners.tell(event); };
    Service service(*metadata, *storage, options.limits, std::max(1U, std::thread::hardware_concurrency()), tell);
    Metrics metrics;
    listeners.count(metrics);
    std::optional<Mirror> mirror;
    std::optional<Redirects> redirects;
    HttpOptions http_options = options.http;
    http_options.remote_lookups = shared;
    if (!options.mirror.upstream.empty() && !service.read_only()) {
        mirror.emplace(options.mirror, service, data);
        http_options.waiting = Mirror::kMaxWaiting;
    }
    if (options.redirect_quota > 0 && storage->image_objects() && !service.read_only()) {
        redirects.emplace(service, *storage->image_objects(), options.redirect_quota);
        metrics.add({"redirects_total", "counter", "Downloads sent to the store.", [&redirects] { return redirects->sent(); }});
        metrics.add({"images_composed_total", "counter", "Images written as one object.", [&redirects] { return redirects->composed(); }});
    }
    const Helpers helpers{.mirror = mirror ? &*mirror : nullptr, .redirects = redirects ? &*redirects : nullptr};
    {
        HttpServer http(
            http_options,
            [&](const Request& request) {
                std::unique_ptr<Exchange> page = documents ? documents->route(request) : nullptr;
                return page ? std::move(page) : route(request, service, options.urls, metrics, helpers);
            },
            [&metrics](const Request& request, unsigned status, uint64_t bytes_in) { metrics.answered(request.method, status, bytes_in); });
        const std::jthread collector([&](const std::stop_token& stop) {
            if (!service.read_only()) collect_regularly(service, options.keep_anonymous_days, tell, stop);
        });
        std::printf("listening on %s\n", http.url().c_str());
        (void)std::fflush(stdout);
        run_maintenance(signals, service, http, listeners);
        if (mirror) mirror->stop();
        http.stop(kGraceSeconds);
        if (redirects) redirects->stop();
    }
    service.stop();
    if (listeners.webhooks) listeners.webhooks->stop(kWebhookGrace);
}

}  // namespace registry::server
