// A server on 127.0.0.1 that answers each request with what a test says, right or hostile.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"

namespace http_test {

class CannedServer {
public:
    // `answer` gets the head of a request ("GET /x HTTP/1.1\r\n…") and the connection, which is closed after it.
    explicit CannedServer(std::function<void(const std::string& head, int fd)> answer);
    ~CannedServer();
    CannedServer(const CannedServer&) = delete;
    CannedServer& operator=(const CannedServer&) = delete;

    std::string url() const;
    std::vector<std::string> requests();  // heads, in order

private:
    void serve();

    std::function<void(const std::string&, int)> answer_;
    base::UniqueFd listener_;
    int port_ = 0;
    std::mutex mutex_;
    std::vector<std::string> requests_;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

// Sends it; a peer that has gone away does not matter.
void put(int fd, const std::string& text);

// A whole answer with a length.
std::string answer(const std::string& body, const std::string& headers = "", const std::string& status = "200 OK");

}  // namespace http_test
