#include "http/transfer.h"

#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <mutex>

#include "base/fd.h"
#include "base/hash.h"
#include "base/untrusted_text.h"
#include "http/certificates.h"
#include "http/status.h"

namespace http {
namespace {

constexpr size_t kMaxHeaders = 64 << 10;
constexpr size_t kMaxBody = 1 << 20;
constexpr long kSendBuffer = 256 << 10;  // bytes of a file that are sent at once

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
    constexpr long kNotImplemented = 501;
    return status == kRequestTimeout || status == kTooManyRequests || (status >= kServerError && status != kNotImplemented);
}

}  // namespace

std::unique_ptr<CURL, FreeCurl> new_curl() {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    std::unique_ptr<CURL, FreeCurl> curl(curl_easy_init());
    if (!curl) throw base::Error("libcurl cannot be initialized");
    return curl;
}

// Runs f; returns false when it threw.
template <typename F>
bool Transfer::guarded(F f) {
    try {
        f();
        return true;
    } catch (...) {
        failure_ = std::current_exception();
        return false;
    }
}

void Transfer::take_header(std::string_view line) {
    header_bytes_ += line.size();
    if (header_bytes_ > kMaxHeaders) throw base::Error("more than 64 KiB of headers");
    if (line.starts_with("HTTP/")) {  // after a redirect the next answer's
        answer_.headers.clear();
        const size_t blank = line.find(' ');
        answer_.status = blank == std::string_view::npos ? 0 : std::strtol(std::string(line.substr(blank)).c_str(), nullptr, 10);
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
    answer_.headers[name] = value;
}

void Transfer::take_body(std::span<const std::byte> data) {
    if (request_.sink && answer_.success()) {
        request_.sink(answer_, data);
        return;
    }
    if (answer_.body.size() + data.size() > kMaxBody) throw base::Error("an answer of more than 1 MiB");
    answer_.body.append(reinterpret_cast<const char*>(data.data()), data.size());
}

size_t Transfer::on_header(char* data, size_t size, size_t count, void* user) {
    auto& transfer = *static_cast<Transfer*>(user);
    return transfer.guarded([&] { transfer.take_header({data, size * count}); }) ? size * count : 0;
}

size_t Transfer::on_body(char* data, size_t size, size_t count, void* user) {
    auto& transfer = *static_cast<Transfer*>(user);
    const size_t length = size * count;
    if (transfer.request_.full && transfer.answer_.success() && transfer.request_.full()) return CURL_WRITEFUNC_PAUSE;
    return transfer.guarded([&] { transfer.take_body(std::as_bytes(std::span(data, length))); }) ? length : CURL_WRITEFUNC_ERROR;
}

int Transfer::on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t sent) {
    auto& transfer = *static_cast<Transfer*>(user);
    const auto& take = transfer.request_.sent;
    return !take || transfer.guarded([&] { take(static_cast<uint64_t>(sent)); }) ? 0 : 1;
}

size_t Transfer::on_read(char* buffer, size_t size, size_t count, void* user) {
    auto& reader = *static_cast<FileReader*>(user);
    size_t n = 0;
    const auto read = [&] {
        const auto& growing = reader.transfer->request_.growing;
        uint64_t end = reader.part->length;
        if (growing && reader.position < end) end = std::min(end, growing(reader.position));
        const size_t wanted = static_cast<size_t>(std::min<uint64_t>(size * count, end - reader.position));
        n = base::pread_full(reader.part->fd, std::as_writable_bytes(std::span(buffer, wanted)), reader.part->offset + reader.position,
                             "the file that is sent");
        if (n < wanted) throw base::Error("the file became shorter while it was sent");
        reader.position += n;
    };
    return reader.transfer->guarded(read) ? n : CURL_READFUNC_ABORT;
}

int Transfer::on_seek(void* user, curl_off_t offset, int origin) {
    if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
    static_cast<FileReader*>(user)->position = static_cast<uint64_t>(offset);
    return CURL_SEEKFUNC_OK;
}

curl_socket_t Transfer::on_connecting(void* user, curlsocktype, curl_sockaddr* address) {
    auto& transfer = *static_cast<Transfer*>(user);
    if (!transfer.guarded([&] { transfer.options_.connecting(address->addr); })) return CURL_SOCKET_BAD;
    return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

Transfer::Transfer(CURL* curl, const Request& request, const Options& options) : curl_(curl), request_(request), options_(options) {
    curl_easy_setopt(curl_, CURLOPT_URL, request_.url.c_str());
    curl_easy_setopt(curl_, CURLOPT_ERRORBUFFER, error_text_);
    set_connection();
    set_callbacks();
    set_parts();
    set_body();
    if (options_.aws) sign();
    set_headers();
}

void Transfer::set_connection() {
    const bool reads = request_.method == "GET" || request_.method == "HEAD";
    const bool long_running = request_.sink || request_.file || !request_.parts.empty();
    curl_easy_setopt(curl_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl_, CURLOPT_USERAGENT, "gvmkit");
    curl_easy_setopt(curl_, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl_, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl_, CURLOPT_FOLLOWLOCATION, reads && request_.follow && !options_.aws ? 1L : 0L);
    curl_easy_setopt(curl_, CURLOPT_MAXREDIRS, 10L);
    curl_easy_setopt(curl_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect.count()));
    if (!options_.unix_socket.empty()) {
        curl_easy_setopt(curl_, CURLOPT_UNIX_SOCKET_PATH, options_.unix_socket.c_str());
        curl_easy_setopt(curl_, CURLOPT_PROXY, "");
    }
    if (options_.connecting) {
        curl_easy_setopt(curl_, CURLOPT_PROXY, "");
        curl_easy_setopt(curl_, CURLOPT_OPENSOCKETFUNCTION, on_connecting);
        curl_easy_setopt(curl_, CURLOPT_OPENSOCKETDATA, this);
    }
    if (request_.full) {
        // The caller decides when it reads, so it is the caller who notices that nothing comes.
    } else if (long_running) {
        curl_easy_setopt(curl_, CURLOPT_LOW_SPEED_LIMIT, 1024L);
        curl_easy_setopt(curl_, CURLOPT_LOW_SPEED_TIME, static_cast<long>(options_.stall.count()));
    } else {
        curl_easy_setopt(curl_, CURLOPT_TIMEOUT_MS, static_cast<long>(options_.answer.count()));
    }
    // libcurl's own default is the place on the system that it was built on.
    static const std::string kSystems = certificate_authorities();
    if (const char* certificates = std::getenv("SSL_CERT_FILE")) {
        curl_easy_setopt(curl_, CURLOPT_CAINFO, certificates);
    } else if (!kSystems.empty()) {
        curl_easy_setopt(curl_, CURLOPT_CAINFO, kSystems.c_str());
    }
}

void Transfer::set_callbacks() {
    curl_easy_setopt(curl_, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl_, CURLOPT_HEADERDATA, this);
    curl_easy_setopt(curl_, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl_, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(curl_, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl_, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl_, CURLOPT_XFERINFODATA, this);
}

void Transfer::set_headers() {
    // Do not wait for a "100 Continue" before a large body; many servers never send it.
    headers_.reset(curl_slist_append(headers_.release(), "Expect:"));
    for (const std::string& header : request_.headers)
        headers_.reset(curl_slist_append(headers_.release(), header.c_str()));
    curl_easy_setopt(curl_, CURLOPT_HTTPHEADER, headers_.get());
}

void Transfer::set_parts() {
    parts_.reserve(request_.parts.size());  // libcurl keeps their addresses
    if (!request_.parts.empty()) mime_.reset(curl_mime_init(curl_));
    for (const Part& part : request_.parts) {
        curl_mimepart* field = curl_mime_addpart(mime_.get());
        curl_mime_name(field, part.name.c_str());
        if (!part.file_name.empty()) {
            curl_mime_filename(field, part.file_name.c_str());
            curl_mime_type(field, "application/octet-stream");
        }
        if (part.fd < 0) {
            curl_mime_data(field, part.text.data(), part.text.size());
            continue;
        }
        parts_.push_back({this, &part});
        curl_mime_data_cb(field, static_cast<curl_off_t>(part.length), on_read, on_seek, nullptr, &parts_.back());
    }
    if (mime_) curl_easy_setopt(curl_, CURLOPT_MIMEPOST, mime_.get());
}

void Transfer::set_body() {
    if (request_.method == "HEAD") curl_easy_setopt(curl_, CURLOPT_NOBODY, 1L);
    if (request_.method == "DELETE") curl_easy_setopt(curl_, CURLOPT_CUSTOMREQUEST, "DELETE");
    if (request_.method == "POST" && request_.parts.empty()) {
        curl_easy_setopt(curl_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
        curl_easy_setopt(curl_, CURLOPT_POSTFIELDS, request_.body.c_str());
    }
    if (!request_.file) return;
    body_.part = &*request_.file;
    curl_easy_setopt(curl_, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl_, CURLOPT_UPLOAD_BUFFERSIZE, kSendBuffer);
    curl_easy_setopt(curl_, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request_.file->length));
    curl_easy_setopt(curl_, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(curl_, CURLOPT_READDATA, &body_);
    curl_easy_setopt(curl_, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(curl_, CURLOPT_SEEKDATA, &body_);
}

// libcurl makes the signature over the headers that are set here, too.
void Transfer::sign() {
    const AwsKeys& aws = *options_.aws;
    curl_easy_setopt(curl_, CURLOPT_AWS_SIGV4, ("aws:amz:" + aws.region + ":s3").c_str());
    curl_easy_setopt(curl_, CURLOPT_USERNAME, aws.key.c_str());
    curl_easy_setopt(curl_, CURLOPT_PASSWORD, aws.secret.c_str());
    const std::string hash = request_.file ? request_.file_sha256 : base::sha256_hex(std::as_bytes(std::span(request_.body)));
    headers_.reset(curl_slist_append(headers_.release(), ("x-amz-content-sha256: " + hash).c_str()));
    if (!aws.session_token.empty())
        headers_.reset(curl_slist_append(headers_.release(), ("x-amz-security-token: " + aws.session_token).c_str()));
}

Response Transfer::finish(CURLcode code) {
    const std::string what = request_.method + " " + request_.url;
    if (failure_) base::with_context(what, [&] { std::rethrow_exception(failure_); });
    if (code != CURLE_OK) {
        const std::string text = what + ": " + base::escape_line(*error_text_ != 0 ? error_text_ : curl_easy_strerror(code));
        if (is_transient(code)) throw TransientError(text);
        throw base::Error(text);
    }
    const char* url = nullptr;
    curl_easy_getinfo(curl_, CURLINFO_EFFECTIVE_URL, &url);
    answer_.url = url ? url : request_.url;
    if (is_transient(answer_.status) && !request_.any_status) {
        curl_off_t retry_after = 0;  // also where the header holds a date
        curl_easy_getinfo(curl_, CURLINFO_RETRY_AFTER, &retry_after);
        throw TransientError(what + ": status " + std::to_string(answer_.status) + ": " + base::escape_line(answer_.body),
                             std::chrono::seconds(retry_after));
    }
    return std::move(answer_);
}

}  // namespace http
