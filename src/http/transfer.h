// One request on a libcurl handle: what client.cpp sends at a stretch, and what stream.cpp reads piece by piece.
#pragma once

#include <curl/curl.h>

#include <exception>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "http/client.h"

namespace http {

struct FreeCurl {
    void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
struct FreeMime {
    void operator()(curl_mime* mime) const { curl_mime_free(mime); }
};
struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// A handle of libcurl. Throws base::Error.
std::unique_ptr<CURL, FreeCurl> new_curl();

// A request in progress, as the callbacks see it. libcurl is C: an exception from a callback is kept here and rethrown by `finish`. `curl`,
// `request` and `options` must outlive it.
class Transfer {
public:
    // Sets everything up on the handle.
    Transfer(CURL* curl, const Request& request, const Options& options);
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;

    // The answer once libcurl is done with it. Throws as Session::send does.
    Response finish(CURLcode code);

    // The answer so far.
    const Response& answer() const { return answer_; }

private:
    // A file part being read.
    struct FileReader {
        Transfer* transfer;
        const Part* part;
        uint64_t position = 0;
    };

    static size_t on_header(char* data, size_t size, size_t count, void* user);
    static size_t on_body(char* data, size_t size, size_t count, void* user);
    static size_t on_read(char* buffer, size_t size, size_t count, void* user);
    static int on_seek(void* user, curl_off_t offset, int origin);
    static int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t sent);
    static curl_socket_t on_connecting(void* user, curlsocktype, curl_sockaddr* address);

    template <typename F>
    bool guarded(F f);
    void take_header(std::string_view line);
    void take_body(std::span<const std::byte> data);
    void set_connection();
    void set_callbacks();
    void set_headers();
    void set_parts();
    void set_body();
    void sign();

    CURL* curl_;
    const Request& request_;
    const Options& options_;
    Response answer_;
    size_t header_bytes_ = 0;
    std::exception_ptr failure_;
    char error_text_[CURL_ERROR_SIZE] = "";
    std::unique_ptr<curl_slist, FreeList> headers_;
    std::vector<FileReader> parts_;
    std::unique_ptr<curl_mime, FreeMime> mime_;
    FileReader body_{this, nullptr};
};

}  // namespace http
