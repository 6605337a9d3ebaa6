#include "dbg/guest_program.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <csignal>
#include <future>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/untrusted_text.h"

namespace dbg {
namespace asio = boost::asio;
namespace {

constexpr size_t kMaxSaid = 8 << 10;

class ProgramOutput : public oci::Stream {
public:
    explicit ProgramOutput(GuestProgram& program) : program_(program) {}
    std::span<const std::byte> next() override { return program_.read(); }

private:
    GuestProgram& program_;
};

}  // namespace

GuestProgram::GuestProgram(const Vm& vm, debug::Builtin part, const std::vector<std::string>& arguments, Use use, Signals signals)
    : vm_(vm.name) {
    if (signals == Signals::taken) {
        for (const int signal : {SIGINT, SIGTERM, SIGHUP})
            signals_.add(signal);
    }
    signals_.async_wait([this](boost::system::error_code error, int) { interrupted_ = !error; });
    debug::Run run;
    run.set_builtin(part);
    for (const std::string& argument : arguments)
        run.add_args(argument);
    run.set_input(use == Use::write);
    process_ = base::with_context(vm_, [&] { return wait(debug::Process::start(io_.get_executor(), vm.socket(), std::move(run))); });
    if (use == Use::write) asio::co_spawn(io_, watch(), asio::detached);
}

GuestProgram::~GuestProgram() = default;

// Serves the connection until the work is done.
template <typename T>
T GuestProgram::wait(asio::awaitable<T> work) {
    std::future<T> future = asio::co_spawn(io_, std::move(work), asio::use_future);
    while (future.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
        if (interrupted_) throw base::Error("interrupted");
        io_.run_one();
    }
    return future.get();
}

asio::awaitable<void> GuestProgram::watch() {
    try {
        while (const auto output = co_await process_->next())
            keep(*output);
    } catch (const base::Error&) {
        failure_ = std::current_exception();
    }
    ended_ = true;
}

void GuestProgram::keep(const debug::Output& output) {
    if (output.stream() != debug::STDERR) return;
    said_ += output.data();
    if (said_.size() > kMaxSaid) said_.erase(0, said_.size() - kMaxSaid);
}

std::span<const std::byte> GuestProgram::read() {
    while (!ended_) {
        output_ = base::with_context(vm_, [this] { return wait(process_->next()); });
        if (!output_) break;
        if (output_->stream() == debug::STDOUT) return std::as_bytes(std::span(output_->data()));
        keep(*output_);
    }
    ended_ = true;
    check_end();
    return {};
}

void GuestProgram::write(std::span<const std::byte> data) {
    base::with_context(vm_, [&] { wait(process_->write({reinterpret_cast<const char*>(data.data()), data.size()})); });
}

void GuestProgram::finish() {
    process_->close_input();
    while (!ended_) {
        if (interrupted_) throw base::Error("interrupted");
        io_.run_one();
    }
    if (failure_) {
        base::with_context(vm_, [this] { std::rethrow_exception(failure_); });
    }
    check_end();
}

void GuestProgram::check_end() {
    const int code = process_->exit_code();
    if (code == 0) return;
    std::string_view line = said_;  // the last: what was left out comes before it
    while (line.ends_with('\n'))
        line.remove_suffix(1);
    line = line.substr(line.rfind('\n') + 1);
    if (line.empty()) throw base::Error(vm_ + ": it ended with exit code " + std::to_string(code));
    throw base::Error(vm_ + (line.starts_with('/') ? ":" : ": ") + base::escape_line(line));
}

std::string GuestProgram::warnings() const {
    return base::printable_lines(said_);
}

oci::StreamPtr output_of(GuestProgram& program) {
    return std::make_unique<ProgramOutput>(program);
}

}  // namespace dbg
