#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "registry/server/client_address.h"

struct MHD_Connection;

namespace registry::server {

// A request's head.
struct Request {
    MHD_Connection* connection = nullptr;
    std::string method;
    std::string path;  // percent-decoded
    const std::vector<Network>* proxies = nullptr;

    std::optional<std::string> query(const char* name) const;
    std::optional<std::string> cookie(const char* name) const;
    std::string header(const char* name) const;  // empty where it is missing
    std::string client() const;                  // the client's address
    std::string limited_address() const;         // what limits count by: empty for this machine
};

// The body of an answer, not held in memory.
class Content {
public:
    virtual ~Content() = default;
    // Whether `read` may wait for another machine. A separate thread calls it then, one call at a time, the first before the answer begins.
    virtual bool slow() const { return false; }
    // Before the first read: `length` bytes from `first` on will be read, in order, and nothing else.
    virtual void expect(uint64_t /*first*/, uint64_t /*length*/) {}
    // Bytes from `offset` on; fewer than fit, or none, only at the end of a part of it. Throws base::Error.
    virtual size_t read(uint64_t offset, std::span<std::byte> buffer) = 0;
    // Of slow content: gets all that `read` gave, in order, before a client does. A thread may call it while another one reads on. Throws
    // base::Error where the bytes are not the right ones.
    virtual void check(uint64_t /*offset*/, std::span<const std::byte> /*data*/) {}
};

struct Response {
    unsigned status = 200;
    std::string type = "text/plain; charset=utf-8";
    std::string body = {};
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::shared_ptr<Content> content = nullptr;  // instead of `body`
    uint64_t content_offset = 0;
    uint64_t content_length = 0;
};

// A request until its answer. An exception from any of these functions becomes the answer.
class Exchange {
public:
    virtual ~Exchange() = default;
    virtual uint64_t max_body() const { return 0; }  // bytes
    virtual void body(std::span<const std::byte>) {}
    // Whether `finish` waits for the disk or another machine; a separate thread calls it then.
    virtual bool slow() const { return false; }
    // Whether `finish` may wait for minutes; of the threads of HttpOptions::waiting one calls it then.
    virtual bool waits() const { return false; }
    // Whether `finish` needs nothing but this process.
    virtual bool immediate() const { return false; }
    virtual Response finish() = 0;
};

// Makes the exchange for a request, or throws the answer.
using Route = std::function<std::unique_ptr<Exchange>(const Request&)>;
// Gets every answer, from several threads.
using Answered = std::function<void(const Request&, unsigned status, uint64_t bytes_in)>;

struct HttpOptions {
    std::string listen = "127.0.0.1:8080";  // HOST:PORT, [IPV6]:PORT; port 0: a free one
    unsigned timeout =
        60;  // seconds: the longest silence, the longest wait for a request's head, and the age from which a body must keep a rate
    std::string certificate, key;  // PEM files; empty: no TLS
    unsigned waiting = 0;          // threads for answers that wait for minutes
    bool remote_lookups = false;   // every answer that is not immediate may wait for a data base on another machine
    std::vector<Network> proxies;  // that tell in X-Forwarded-For for whom they ask
};

// The HTTP server: libmicrohttpd with one thread per core, and limits on everything that a client can make long or slow.
class HttpServer {
public:
    // Listens; throws base::Error.
    HttpServer(const HttpOptions& options, Route route, Answered answered);
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    // "http://127.0.0.1:34567"
    std::string url() const;

    // Reads the certificate's files now. They are also read within two seconds of a change.
    void read_certificate();

    // Stops accepting connections and waits for the running requests, at most that many seconds.
    void stop(unsigned grace_seconds);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace registry::server
