#include "http/client.h"

#include "http/transfer.h"

namespace http {

struct Session::State {
    explicit State(const Options& given) : options(given), curl(new_curl()) {}

    Options options;
    std::unique_ptr<CURL, FreeCurl> curl;
};

std::string Response::header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
}

Session::Session(const Options& options) : state_(std::make_unique<State>(options)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;

Response Session::send(const Request& request) {
    CURL* curl = state_->curl.get();
    curl_easy_reset(curl);  // keeps the connections
    Transfer transfer(curl, request, state_->options);
    return transfer.finish(curl_easy_perform(curl));
}

}  // namespace http
