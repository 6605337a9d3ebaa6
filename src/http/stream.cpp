#include "http/stream.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include "http/transfer.h"

namespace http {
namespace {

constexpr long kReceiveBuffer = 128 << 10;  // bytes that libcurl reads at once

struct FreeMulti {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

}  // namespace

struct Stream::State {
    explicit State(const Options& given) : options(given), multi(curl_multi_init()), curl(new_curl()) {
        if (!multi) throw base::Error("libcurl cannot be initialized");
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { close(); }

    void close();
    void take(std::span<const std::byte> data);
    void perform();
    void advance(std::chrono::milliseconds longest, const std::function<bool()>& enough);

    Options options;
    std::unique_ptr<CURLM, FreeMulti> multi;
    std::unique_ptr<CURL, FreeCurl> curl;
    Request request;
    std::optional<Transfer> transfer;  // none: nothing is open
    std::optional<CURLcode> done;
    bool began = false;           // the body
    std::span<std::byte> wanted;  // where the body's next bytes go
    std::vector<std::byte> rest;  // those that `wanted` had no room for
    size_t rest_taken = 0;
};

void Stream::State::close() {
    if (transfer) curl_multi_remove_handle(multi.get(), curl.get());
    transfer.reset();
    done.reset();
    began = false;
    wanted = {};
    rest.clear();
    rest_taken = 0;
}

void Stream::State::take(std::span<const std::byte> data) {
    began = true;
    const size_t n = std::min(data.size(), wanted.size());
    std::copy_n(data.begin(), n, wanted.begin());  // nothing may be wanted, in a buffer that is null
    wanted = wanted.subspan(n);
    rest.insert(rest.end(), data.begin() + static_cast<std::ptrdiff_t>(n), data.end());
}

void Stream::State::perform() {
    int running = 0;
    if (curl_multi_perform(multi.get(), &running) != CURLM_OK) throw base::Error("libcurl cannot go on with " + request.url);
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
        if (message->msg == CURLMSG_DONE) done = message->data.result;
    }
}

// Lets libcurl work until there is enough or it is done. Throws TransientError where nothing comes for so long.
void Stream::State::advance(std::chrono::milliseconds longest, const std::function<bool()>& enough) {
    constexpr int kPoll = 200;  // ms; a limit for what libcurl does not tell by a descriptor
    auto last = std::chrono::steady_clock::now();
    curl_easy_pause(curl.get(), CURLPAUSE_CONT);  // may call `take`
    while (!done && !enough()) {
        const size_t before = wanted.size();
        perform();
        if (done || enough()) return;
        const auto now = std::chrono::steady_clock::now();
        if (wanted.size() != before) last = now;
        if (now - last > longest)
            throw TransientError("GET " + request.url + ": nothing has come for " + std::to_string(longest.count()) + " ms");
        curl_multi_poll(multi.get(), nullptr, 0, kPoll, nullptr);
    }
}

Stream::Stream(const Options& options) : state_(std::make_unique<State>(options)) {}
Stream::~Stream() = default;

Response Stream::open(const Request& request) {
    State& state = *state_;
    state.close();
    state.request = request;
    state.request.full = [&state] { return state.wanted.empty() && !state.rest.empty(); };
    state.request.sink = [&state](const Response&, std::span<const std::byte> data) { state.take(data); };
    curl_easy_reset(state.curl.get());
    state.transfer.emplace(state.curl.get(), state.request, state.options);
    curl_easy_setopt(state.curl.get(), CURLOPT_BUFFERSIZE, kReceiveBuffer);
    if (curl_multi_add_handle(state.multi.get(), state.curl.get()) != CURLM_OK) throw base::Error("libcurl cannot begin " + request.url);
    const std::function<bool()> began = [&state] { return state.began; };
    state.advance(state.options.answer, began);
    if (!state.done) return state.transfer->answer();
    const CURLcode code = *state.done;
    if (code == CURLE_OK && state.transfer->answer().success()) return state.transfer->answer();
    return state.transfer->finish(code);
}

size_t Stream::read(std::span<std::byte> buffer) {
    State& state = *state_;
    const size_t n = std::min(buffer.size(), state.rest.size() - state.rest_taken);
    std::copy_n(state.rest.begin() + static_cast<std::ptrdiff_t>(state.rest_taken), n, buffer.begin());
    state.rest_taken += n;
    if (state.rest_taken == state.rest.size()) {
        state.rest.clear();
        state.rest_taken = 0;
    }
    state.wanted = buffer.subspan(n);
    const std::function<bool()> filled = [&state] { return state.wanted.empty(); };
    if (!state.wanted.empty() && !state.done) state.advance(state.options.stall, filled);
    if (state.done && *state.done != CURLE_OK) (void)state.transfer->finish(*state.done);
    const size_t read = buffer.size() - state.wanted.size();
    state.wanted = {};
    return read;
}

bool Stream::ended() {
    if (state_->transfer && !state_->done) state_->perform();
    return state_->done == CURLE_OK && state_->rest.empty();
}

}  // namespace http
