#include "http/client.h"

#include <curl/curl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <exception>
#include <mutex>

#include "base/fd.h"
#include "base/untrusted_text.h"
#include "http/certificates.h"
#include "http/status.h"

namespace http {
namespace {

constexpr size_t kMaxHeaders = 64 << 10;
constexpr size_t kMaxBody = 1 << 20;

// A request in progress, as the callbacks see it. libcurl is C: an exception from a callback is kept here and rethrown after the call.
struct Exchange {
    const Request& request;
    Response answer;
    size_t header_bytes = 0;
    std::exception_ptr failure;
};

// Runs f; returns false when it threw.
template <typename F>
bool guarded(Exchange& exchange, F f) {
    try {
        f();
        return true;
    } catch (...) {
        exchange.failure = std::current_exception();
        return false;
    }
}

void take_header(Exchange& exchange, std::string_view line) {
    exchange.header_bytes += line.size();
    if (exchange.header_bytes > kMaxHeaders) throw base::Error("more than 64 KiB of headers");
    if (line.starts_with("HTTP/")) {  // after a redirect the next answer's
        exchange.answer.headers.clear();
        const size_t blank = line.find(' ');
        exchange.answer.status = blank == std::string_view::npos ? 0 : std::strtol(std::string(line.substr(blank)).c_str(), nullptr, 10);
        return;
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && std::isspace(static_cast<unsigned char>(value.front())))
        value.remove_prefix(1);
    while (!value.empty() && std::isspace(static_cast<unsigned char>(value.back())))
        value.remove_suffix(1);
    exchange.answer.headers[name] = value;
}

size_t on_header(char* data, size_t size, size_t count, void* user) {
    auto& exchange = *static_cast<Exchange*>(user);
    return guarded(exchange, [&] { take_header(exchange, {data, size * count}); }) ? size * count : 0;
}

size_t on_body(char* data, size_t size, size_t count, void* user) {
    auto& exchange = *static_cast<Exchange*>(user);
    const size_t length = size * count;
    const auto take = [&] {
        if (exchange.request.sink && exchange.answer.success()) {
            exchange.request.sink(exchange.answer, std::as_bytes(std::span(data, length)));
            return;
        }
        if (exchange.answer.body.size() + length > kMaxBody) throw base::Error("an answer of more than 1 MiB");
        exchange.answer.body.append(data, length);
    };
    return guarded(exchange, take) ? length : CURL_WRITEFUNC_ERROR;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t sent) {
    auto& exchange = *static_cast<Exchange*>(user);
    return !exchange.request.sent || guarded(exchange, [&] { exchange.request.sent(static_cast<uint64_t>(sent)); }) ? 0 : 1;
}

// A file part being read.
struct FileReader {
    Exchange* exchange;
    const Part* part;
    uint64_t position = 0;
};

size_t on_read(char* buffer, size_t size, size_t count, void* user) {
    auto& reader = *static_cast<FileReader*>(user);
    size_t n = 0;
    const auto read = [&] {
        const size_t wanted = static_cast<size_t>(std::min<uint64_t>(size * count, reader.part->length - reader.position));
        n = base::pread_full(reader.part->fd, std::as_writable_bytes(std::span(buffer, wanted)), reader.part->offset + reader.position,
                             "the file that is sent");
        if (n < wanted) throw base::Error("the file became shorter while it was sent");
        reader.position += n;
    };
    return guarded(*reader.exchange, read) ? n : CURL_READFUNC_ABORT;
}

int on_seek(void* user, curl_off_t offset, int origin) {
    if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
    static_cast<FileReader*>(user)->position = static_cast<uint64_t>(offset);
    return CURL_SEEKFUNC_OK;
}

// An address that is to be connected to.
struct Connecting {
    Exchange* exchange;
    const Options* options;
};

curl_socket_t on_connecting(void* user, curlsocktype, curl_sockaddr* address) {
    const auto& connecting = *static_cast<Connecting*>(user);
    if (!guarded(*connecting.exchange, [&] { connecting.options->connecting(address->addr); })) return CURL_SOCKET_BAD;
    return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

struct FreeMime {
    void operator()(curl_mime* mime) const { curl_mime_free(mime); }
};
struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

bool is_transient(CURLcode code) {
    switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
        case CURLE_COULDNT_CONNECT:
        case CURLE_OPERATION_TIMEDOUT:
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
        case CURLE_GOT_NOTHING:
        case CURLE_PARTIAL_FILE:
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_HTTP2:
        case CURLE_HTTP2_STREAM:
            return true;
        default:
            return false;
    }
}

bool is_transient(long status) {
    return status == kRequestTimeout || status == kTooManyRequests || status >= kServerError;
}

void set_up(CURL* curl, Exchange& exchange, const Options& options, char* error_text) {
    const Request& request = exchange.request;
    const bool reads = request.method == "GET" || request.method == "HEAD";
    const bool long_running = request.sink || request.file || !request.parts.empty();
    curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error_text);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "gvmkit");
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, reads && request.follow ? 1L : 0L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 10L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect.count()));
    if (!options.unix_socket.empty()) {
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, options.unix_socket.c_str());
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    }
    if (options.connecting) curl_easy_setopt(curl, CURLOPT_PROXY, "");
    if (long_running) {
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1024L);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(options.stall.count()));
    } else {
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(options.answer.count()));
    }
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &exchange);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &exchange);
    if (request.method == "HEAD") curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    if (request.method == "POST" && request.parts.empty()) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.c_str());
    }
    // libcurl's own default is the place on the system that it was built on.
    static const std::string kSystems = certificate_authorities();
    if (const char* certificates = std::getenv("SSL_CERT_FILE")) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, certificates);
    } else if (!kSystems.empty()) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, kSystems.c_str());
    }
}

}  // namespace

struct Session::State {
    explicit State(const Options& given) : options(given) {
        static std::once_flag once;
        std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
        curl = curl_easy_init();
        if (!curl) throw base::Error("libcurl cannot be initialized");
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { curl_easy_cleanup(curl); }

    Options options;
    CURL* curl = nullptr;
};

std::string Response::header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
}

Session::Session(const Options& options) : state_(std::make_unique<State>(options)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;

Response Session::send(const Request& request) {
    CURL* curl = state_->curl;
    curl_easy_reset(curl);  // keeps the connections
    char error_text[CURL_ERROR_SIZE] = "";
    Exchange exchange{request, {}, 0, {}};
    set_up(curl, exchange, state_->options, error_text);
    Connecting connecting{&exchange, &state_->options};
    if (state_->options.connecting) {
        curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_connecting);
        curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &connecting);
    }

    // Do not wait for a "100 Continue" before a large body; many servers never send it.
    std::unique_ptr<curl_slist, FreeList> headers(curl_slist_append(nullptr, "Expect:"));
    for (const std::string& header : request.headers)
        headers.reset(curl_slist_append(headers.release(), header.c_str()));
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());

    std::vector<FileReader> readers;
    readers.reserve(request.parts.size());  // libcurl keeps their addresses
    std::unique_ptr<curl_mime, FreeMime> mime;
    if (!request.parts.empty()) mime.reset(curl_mime_init(curl));
    for (const Part& part : request.parts) {
        curl_mimepart* field = curl_mime_addpart(mime.get());
        curl_mime_name(field, part.name.c_str());
        if (!part.file_name.empty()) {
            curl_mime_filename(field, part.file_name.c_str());
            curl_mime_type(field, "application/octet-stream");
        }
        if (part.fd < 0) {
            curl_mime_data(field, part.text.data(), part.text.size());
            continue;
        }
        readers.push_back({&exchange, &part});
        curl_mime_data_cb(field, static_cast<curl_off_t>(part.length), on_read, on_seek, nullptr, &readers.back());
    }
    if (mime) curl_easy_setopt(curl, CURLOPT_MIMEPOST, mime.get());

    FileReader body{&exchange, request.file ? &*request.file : nullptr};
    if (request.file) {
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.file->length));
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(curl, CURLOPT_READDATA, &body);
        curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(curl, CURLOPT_SEEKDATA, &body);
    }

    const CURLcode code = curl_easy_perform(curl);
    const std::string what = request.method + " " + request.url;
    if (exchange.failure) base::with_context(what, [&] { std::rethrow_exception(exchange.failure); });
    if (code != CURLE_OK) {
        const std::string text = what + ": " + base::escape_line(*error_text != 0 ? error_text : curl_easy_strerror(code));
        if (is_transient(code)) throw TransientError(text);
        throw base::Error(text);
    }
    const char* url = nullptr;
    curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &url);
    exchange.answer.url = url ? url : request.url;
    if (is_transient(exchange.answer.status) && !request.any_status) {
        curl_off_t retry_after = 0;  // also where the header holds a date
        curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &retry_after);
        throw TransientError(what + ": status " + std::to_string(exchange.answer.status) + ": " + base::escape_line(exchange.answer.body),
                             std::chrono::seconds(retry_after));
    }
    return std::move(exchange.answer);
}

}  // namespace http
