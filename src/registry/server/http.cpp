#include "registry/server/http.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/fd.h"
#include "base/rlimit.h"
#include "http/client.h"
#include "registry/server/certificate.h"
#include "registry/server/cors.h"
#include "registry/server/errors.h"
#include "registry/server/listen.h"
#include "registry/server/sending.h"
#include "registry/server/watch.h"
#include "registry/server/workers.h"

namespace registry::server {
namespace {

constexpr unsigned kMaxConnections = 4096;
// What a connection may hold: its request line, headers and read buffer, a block of its answer, and a form's buffer (form.cpp). All of them
// together, on all connections, are below 400 MiB.
constexpr size_t kConnectionMemory = 32 << 10;
constexpr size_t kAnswerBlock = 256 << 10;
constexpr size_t kCrowdedAnswerBlock = 32 << 10;
constexpr unsigned kFew = 8;  // requests at once, up to which an answer that is slow to read gets more and longer blocks
constexpr size_t kLongBlock = 1 << 20;
constexpr unsigned kCrowd = 64;              // requests at once, beyond which an answer gets the smaller block
constexpr uint64_t kMaxDropped = 128 << 20;  // of a refused body: it is read, so that the client gets to read the answer
constexpr unsigned kSlowWorkers = 16;
constexpr unsigned kLookups = 8;
constexpr unsigned kReaders = 16;

// A request with everything that its answer needs; libmicrohttpd's con_cls.
struct Context {
    Request request;
    std::unique_ptr<Exchange> exchange;
    std::optional<Response> response;
    std::unique_ptr<Sending> sending;  // the beginning of `response`'s content, where that is slow
    uint64_t received = 0;             // bytes of the body
    uint64_t dropped = 0;              // of these, after the answer was decided
};

Response error_response(unsigned status, const std::string& text) {
    return {.status = status, .body = text + "\n"};
}

// Calls f; an exception becomes the context's answer. The exchange ends before the client can know the answer.
template <typename F>
void guarded(Context& context, F f) {
    try {
        f();
    } catch (const HttpError& e) {
        context.response = error_response(e.status(), e.what());
        if (e.retry_after() > 0) context.response->headers.emplace_back("Retry-After", std::to_string(e.retry_after()));
    } catch (const http::TransientError& e) {
        spdlog::error("{} {}: {}", context.request.method, context.request.path, e.what());
        context.response = error_response(http::kUnavailable, "what this registry depends on does not answer; try again later");
        context.response->headers.emplace_back("Retry-After", std::to_string(kRetryAfterSeconds));
    } catch (const std::exception& e) {
        spdlog::error("{} {}: {}", context.request.method, context.request.path, e.what());
        context.response = error_response(http::kServerError, "the registry has a problem; its log says which");
    }
    if (context.response) context.exchange.reset();
}

// `begun`: the beginning of slow content; none: it is not slow, or nobody wants its bytes.
MHD_Result queue(const Request& request, const Response& answer, size_t block, std::unique_ptr<Sending> begun) {
    MHD_Response* response = nullptr;
    if (answer.content) {
        auto* sending = begun ? begun.release() : new Sending(answer, request.connection);
        response = MHD_create_response_from_callback(answer.content_length, block, Sending::read_next, sending,
                                                     [](void* cls) { delete static_cast<Sending*>(cls); });
        if (!response) delete sending;
    } else {
        // libmicrohttpd only reads it, although it takes a pointer to mutable data.
        response = MHD_create_response_from_buffer(answer.body.size(), const_cast<char*>(answer.body.data()), MHD_RESPMEM_MUST_COPY);
    }
    if (!response) return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer.type.c_str());
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : answer.headers)
        MHD_add_response_header(response, name.c_str(), value.c_str());
    if (may_read_cross_origin(request)) {
        MHD_add_response_header(response, "Access-Control-Allow-Origin", "*");
        MHD_add_response_header(response, "Access-Control-Expose-Headers", "Accept-Ranges, Content-Range, ETag, Location");
    }
    const MHD_Result result = MHD_queue_response(request.connection, answer.status, response);
    MHD_destroy_response(response);
    return result;
}

// libmicrohttpd asks for a certificate only where a connection has none of ours (set_certificate).
int no_certificate(gnutls_session_t, const gnutls_datum_t*, int, const gnutls_pk_algorithm_t*, int, gnutls_pcert_st**, unsigned*,
                   gnutls_privkey_t*) {
    return -1;
}

// Connections for which there are enough descriptors: one for the socket, two for files.
unsigned connection_limit() {
    const rlim_t descriptors = base::raise_soft_limit(RLIMIT_NOFILE);
    constexpr rlim_t kOthers = 128;
    return static_cast<unsigned>(std::min<rlim_t>(kMaxConnections, descriptors > 2 * kOthers ? (descriptors - kOthers) / 3 : kOthers / 3));
}

}  // namespace

struct HttpServer::State {
    State(const HttpOptions& options, Route route_, Answered answered_);
    ~State();

    static MHD_Result handle(void* cls, MHD_Connection* connection, const char* url, const char* method, const char* version,
                             const char* data, size_t* size, void** con_cls);
    static void completed(void* cls, MHD_Connection* connection, void** con_cls, MHD_RequestTerminationCode code);
    static void connection_changed(void* cls, MHD_Connection* connection, void** socket_context, MHD_ConnectionNotificationCode code);

    MHD_Result begin(MHD_Connection* connection, const char* url, const char* method, void** con_cls);
    MHD_Result take_body(Context& context, std::span<const std::byte> data);
    MHD_Result finish(Context& context);
    Workers* workers_of(const Exchange& exchange);
    void begin_content(Context& context, const Response& response);
    size_t answer_block();
    Sending::Blocks slow_blocks();
    void watch_connections();
    void set_certificate(MHD_Connection* connection, void** socket_context);

    Route route;
    Answered answered;
    std::vector<Network> proxies;
    std::string url;
    std::optional<Certificate> certificate;
    std::string tls_priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";  // GnuTLS's
    Watch watch;
    bool remote;
    Workers slow{kSlowWorkers};
    Workers waiting;
    Workers lookups{kLookups};
    Workers readers{kReaders};  // of slow content
    MHD_Daemon* daemon = nullptr;

    std::mutex mutex;
    std::condition_variable changed;
    unsigned requests = 0;
    bool stopping = false;
    bool read_certificate = false;  // asked for
    std::thread watcher;
};

HttpServer::State::State(const HttpOptions& options, Route route_, Answered answered_)
    : route(std::move(route_)),
      answered(std::move(answered_)),
      proxies(options.proxies),
      watch(std::chrono::seconds(options.timeout)),
      remote(options.remote_lookups),
      waiting(options.waiting) {
    base::UniqueFd socket = listen_on(options.listen);
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO;
    std::vector<MHD_OptionItem> items;
    if (!options.certificate.empty()) {
        flags |= MHD_USE_TLS;
        certificate.emplace(options.certificate, options.key);
        items.push_back({MHD_OPTION_HTTPS_CERT_CALLBACK, 0, reinterpret_cast<void*>(&no_certificate)});
        items.push_back({MHD_OPTION_HTTPS_PRIORITIES, 0, tls_priorities.data()});
    }
    items.push_back({MHD_OPTION_END, 0, nullptr});
    url = (options.certificate.empty() ? "http://" : "https://") + name_of(socket.get());
    const unsigned limit = connection_limit();
    daemon = MHD_start_daemon(flags, 0, nullptr, nullptr, &State::handle, this,                                //
                              MHD_OPTION_LISTEN_SOCKET, socket.get(),                                          //
                              MHD_OPTION_THREAD_POOL_SIZE, std::max(2U, std::thread::hardware_concurrency()),  //
                              MHD_OPTION_CONNECTION_LIMIT, limit,                                              //
                              MHD_OPTION_PER_IP_CONNECTION_LIMIT, std::max(1U, limit / 4),                     //
                              MHD_OPTION_CONNECTION_TIMEOUT, options.timeout,                                  //
                              MHD_OPTION_CONNECTION_MEMORY_LIMIT, kConnectionMemory,                           //
                              MHD_OPTION_NOTIFY_COMPLETED, &State::completed, this,                            //
                              MHD_OPTION_NOTIFY_CONNECTION, &State::connection_changed, this,                  //
                              MHD_OPTION_ARRAY, items.data(), MHD_OPTION_END);
    if (!daemon) throw base::Error("cannot serve on " + options.listen + ": libmicrohttpd does not start");
    (void)socket.release();  // libmicrohttpd closes it
    watcher = std::thread([this] { watch_connections(); });
}

HttpServer::State::~State() {
    {
        const std::lock_guard lock(mutex);
        stopping = true;
    }
    changed.notify_all();
    watcher.join();
    waiting.stop(true);
    slow.stop(true);  // all before the daemon, which must not end with a suspended connection
    lookups.stop(true);
    readers.stop(true);
    MHD_stop_daemon(daemon);
}

void HttpServer::State::watch_connections() {
    std::unique_lock lock(mutex);
    while (!stopping) {
        changed.wait_for(lock, std::chrono::seconds(1), [this] { return stopping || read_certificate; });
        watch.end_slow();
        const bool asked = std::exchange(read_certificate, false);
        if (!certificate) continue;
        lock.unlock();
        asked ? certificate->reload() : certificate->check();
        lock.lock();
    }
}

MHD_Result HttpServer::State::handle(void* cls, MHD_Connection* connection, const char* url, const char* method, const char*,
                                     const char* data, size_t* size, void** con_cls) {
    auto& state = *static_cast<State*>(cls);
    if (!*con_cls) return state.begin(connection, url, method, con_cls);
    auto& context = *static_cast<Context*>(*con_cls);
    if (*size > 0) {
        const std::span bytes(data, *size);
        *size = 0;
        return state.take_body(context, std::as_bytes(bytes));
    }
    return state.finish(context);
}

MHD_Result HttpServer::State::begin(MHD_Connection* connection, const char* url, const char* method, void** con_cls) {
    auto* context = new Context;  // deleted by completed
    *con_cls = context;
    context->request = {.connection = connection, .method = method, .path = url, .proxies = &proxies};
    {
        const std::lock_guard lock(mutex);
        requests++;
    }
    guarded(*context, [&] { context->exchange = route(context->request); });
    watch.body_begins(connection);
    const std::string length = context->request.header(MHD_HTTP_HEADER_CONTENT_LENGTH);
    const uint64_t max = context->response ? kMaxDropped : context->exchange->max_body();
    if (length.empty() || std::strtoull(length.c_str(), nullptr, 10) <= max) return MHD_YES;
    // Does not wait for the body; libmicrohttpd closes the connection after the answer.
    if (!context->response) context->response = error_response(http::kTooLarge, "the request's body is too long");
    return queue(context->request, *context->response, answer_block(), nullptr);
}

MHD_Result HttpServer::State::take_body(Context& context, std::span<const std::byte> data) {
    watch.body_grew(context.request.connection, data.size());
    context.received += data.size();
    if (context.response) {
        context.dropped += data.size();
        return context.dropped <= kMaxDropped ? MHD_YES : MHD_NO;
    }
    // The body came without a length; nothing can be answered while it arrives.
    if (context.received > context.exchange->max_body()) return MHD_NO;
    guarded(context, [&] { context.exchange->body(data); });
    return MHD_YES;
}

MHD_Result HttpServer::State::finish(Context& context) {
    MHD_Connection* connection = context.request.connection;
    if (!context.response) {
        watch.answering(connection);
        const auto answer = [this, &context] {
            guarded(context, [this, &context] {
                Response response = context.exchange->finish();
                begin_content(context, response);
                context.response = std::move(response);
            });
        };
        if (Workers* const workers = workers_of(*context.exchange)) {
            MHD_suspend_connection(connection);
            const bool posted = workers->post([answer, connection] {
                answer();
                MHD_resume_connection(connection);
            });
            if (posted) return MHD_YES;
            answer();
            MHD_resume_connection(connection);
            return MHD_YES;
        }
        answer();
    }
    watch.answering(connection);
    return queue(context.request, *context.response, answer_block(), std::move(context.sending));
}

// Who finishes an exchange; null: the thread that serves the connection. What only asks a data base on another machine does not wait behind
// what moves chunks.
Workers* HttpServer::State::workers_of(const Exchange& exchange) {
    if (exchange.waits()) return &waiting;
    if (exchange.slow()) return &slow;
    return remote && !exchange.immediate() ? &lookups : nullptr;
}

// Reads the beginning of slow content, so that a store that does not answer becomes an error's answer instead of half an image.
void HttpServer::State::begin_content(Context& context, const Response& response) {
    if (!response.content || !response.content->slow() || context.request.method == "HEAD") return;
    context.sending = std::make_unique<Sending>(response, context.request.connection, readers, slow_blocks());
}

// Two short blocks take as much as the one of an answer that is read when it is wanted. In a crowd memory counts more than time, and among
// few time more than memory: blocks are received, checked and sent at once.
Sending::Blocks HttpServer::State::slow_blocks() {
    const std::lock_guard lock(mutex);
    constexpr size_t kHalf = kAnswerBlock / 2;
    if (requests <= kFew) return {.count = Sending::kMaxBlocks, .first = kHalf, .longest = kLongBlock};
    if (requests <= kCrowd) return {.count = 2, .first = kHalf, .longest = kHalf};
    return {.count = 1, .first = kCrowdedAnswerBlock, .longest = kCrowdedAnswerBlock};
}

size_t HttpServer::State::answer_block() {
    const std::lock_guard lock(mutex);
    return requests <= kCrowd ? kAnswerBlock : kCrowdedAnswerBlock;
}

void HttpServer::State::completed(void* cls, MHD_Connection* connection, void** con_cls, MHD_RequestTerminationCode) {
    auto& state = *static_cast<State*>(cls);
    auto* context = static_cast<Context*>(*con_cls);
    if (!context) return;
    state.answered(context->request, context->response ? context->response->status : http::kBadRequest, context->received);
    delete context;
    *con_cls = nullptr;
    state.watch.idle(connection);
    {
        const std::lock_guard lock(state.mutex);
        state.requests--;
    }
    state.changed.notify_all();
}

// libmicrohttpd reads a certificate only once. So each new connection gets ours before it says a word, and keeps it: GnuTLS has only a
// pointer to it.
void HttpServer::State::set_certificate(MHD_Connection* connection, void** socket_context) {
    const MHD_ConnectionInfo* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (!info) return;
    auto* credentials = new Credentials(certificate->current());
    *socket_context = credentials;
    gnutls_credentials_set(static_cast<gnutls_session_t>(info->tls_session), GNUTLS_CRD_CERTIFICATE, credentials->get());
}

void HttpServer::State::connection_changed(void* cls, MHD_Connection* connection, void** socket_context,
                                           MHD_ConnectionNotificationCode code) {
    auto& state = *static_cast<State*>(cls);
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        state.watch.closed(connection);
        delete static_cast<Credentials*>(*socket_context);
        return;
    }
    if (state.certificate) state.set_certificate(connection, socket_context);
    const MHD_ConnectionInfo* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info) state.watch.opened(connection, info->connect_fd);
}

HttpServer::HttpServer(const HttpOptions& options, Route route, Answered answered)
    : state_(std::make_unique<State>(options, std::move(route), std::move(answered))) {}

HttpServer::~HttpServer() = default;

std::string HttpServer::url() const {
    return state_->url;
}

void HttpServer::read_certificate() {
    {
        const std::lock_guard lock(state_->mutex);
        state_->read_certificate = true;
    }
    state_->changed.notify_all();
}

void HttpServer::stop(unsigned grace_seconds) {
    const int socket = MHD_quiesce_daemon(state_->daemon);
    if (socket >= 0) ::close(socket);
    std::unique_lock lock(state_->mutex);
    state_->changed.wait_for(lock, std::chrono::seconds(grace_seconds), [this] { return state_->requests == 0; });
}

}  // namespace registry::server
