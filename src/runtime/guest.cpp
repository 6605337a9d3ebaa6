#include "runtime/guest.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <sstream>
#include <utility>

#include "base/event.h"
#include "base/log.h"
#include "base/timings.h"
#include "vm/qemu.h"

namespace runtime {
namespace asio = boost::asio;
using asio::awaitable;
namespace {

// How long one end of a VM may outlive the other: QEMU a broken channel, and buffered data in the channel QEMU.
constexpr auto kChannelGrace = std::chrono::milliseconds(500);

std::string seconds(std::chrono::steady_clock::duration time) {
    return fmt::format("{} s", std::chrono::duration<double>(time).count());
}

}  // namespace

class Guest::State : public std::enable_shared_from_this<State> {
public:
    State(const asio::any_io_executor& executor, vm::Machine machine, GuestEvents events, const vm::TemplateFile* origin)
        : events_(std::move(events)),
          qemu_(vm::Qemu::start(executor, std::move(machine), origin)),
          death_(executor),
          channel_end_(executor),
          kill_timer_(executor) {}

    // Not in the constructor, since what it starts refers to this object.
    void start(const asio::any_io_executor& executor, bool from_template) {
        agent::Events events;
        events.output = [this](const agent::Output& output) {
            if (events_.output) events_.output(output);
        };
        events.exited = [this](const agent::Exited& exited) {
            if (events_.exited) events_.exited(exited);
        };
        events.input_taken = [this](uint64_t process, uint32_t bytes) {
            if (events_.input_taken) events_.input_taken(process, bytes);
        };
        events.log = [](const std::string& line) { spdlog::info("guest: {}", line); };
        events.living = [this](bool any) {
            if (events_.living) events_.living(any);
        };
        events.closed = [this](const std::string& reason) { channel_closed(reason); };
        qemu_->watch_console([this](std::string_view text) {
            if (events_.console) events_.console(text);
        });
        agent_.emplace(executor, qemu_->take_agent_channel(), std::move(events));
        if (from_template) agent_->assume_ready();
        asio::co_spawn(executor, watch(shared_from_this()), asio::detached);
    }

    // Nobody wants this VM any more.
    void abandon() {
        events_ = {};
        ending_ = true;
        agent_->close();
        boost::system::error_code ignored;
        channel_end_.notify();
        kill_timer_.cancel(ignored);
        qemu_->kill();
    }

    awaitable<agent::Ready> ready(std::chrono::steady_clock::duration limit) {
        std::string failure;
        try {
            agent::Ready ready = co_await agent_->ready(limit);
            base::timings().mark("agent ready");
            co_return ready;
        } catch (const agent::ChannelError& e) {
            failure = e.what();
        }
        if (!channel_closed_) kill_for(failure);  // the time limit has passed
        co_await dead();
        throw base::Error("the VM did not start: " + reason_);
    }

    awaitable<agent::Reply> request(agent::Request request) {
        std::optional<agent::Reply> reply;
        try {
            reply = co_await agent_->request(std::move(request));
        } catch (const agent::ChannelError&) {  // the VM is dead or about to be
        }
        if (reply) co_return *std::move(reply);
        co_await dead();
        if (ending_) throw EndedError();
        throw base::Error("the VM died: " + reason_);
    }

    awaitable<agent::Reply> request(agent::Request message, std::chrono::steady_clock::duration limit) {
        asio::steady_timer timer(kill_timer_.get_executor(), limit);
        timer.async_wait([self = shared_from_this(), limit](const boost::system::error_code& error) {
            if (!error) self->kill_for("it did not answer within " + seconds(limit));
        });
        co_return co_await request(std::move(message));
    }

    void grant(uint64_t process, agent::Stream stream, uint32_t bytes) { agent_->grant(process, stream, bytes); }
    void input(uint64_t process, std::string_view data, bool end) { agent_->input(process, data, end); }
    void resize(uint64_t process, const agent::Terminal& terminal) { agent_->resize(process, terminal); }

    bool restored() const { return qemu_->restored(); }
    pid_t pid() const { return qemu_->pid(); }

    void kill_for(const std::string& reason) {
        if (killed_for_.empty()) killed_for_ = reason;
        qemu_->kill();
    }

    awaitable<vm::SavedVm> save() {
        ending_ = true;
        vm::SavedVm saved = co_await qemu_->save();
        co_await dead();
        co_return saved;
    }

    awaitable<void> end() {
        ending_ = true;
        qemu_->kill();
        co_await dead();
    }

private:
    void channel_closed(const std::string& reason) {
        channel_closed_ = true;
        channel_end_.notify();
        if (dead_) return;
        // QEMU's own end is usually a moment away and says more.
        kill_timer_.expires_after(kChannelGrace);
        kill_timer_.async_wait([self = shared_from_this(), reason](const boost::system::error_code& error) {
            if (!error && !self->dead_) self->kill_for(reason);
        });
    }

    awaitable<void> dead() {
        while (!dead_)
            co_await death_.wait();
    }

    static awaitable<void> watch(std::shared_ptr<State> self) {
        const vm::ExitReason ending = co_await self->qemu_->ended();
        if (!self->channel_closed_ && !self->ending_) co_await self->channel_end_.wait(kChannelGrace);
        self->on_exit(ending);
    }

    void on_exit(const vm::ExitReason& ending) {
        dead_ = true;
        kill_timer_.cancel();
        reason_ = killed_for_.empty() ? ending.reason : killed_for_;
        if (!ending_) {
            spdlog::error("the VM ended: {}", reason_);
            std::istringstream lines(ending.last_lines);
            for (std::string line; std::getline(lines, line);)
                spdlog::error("console: {}", line);
        }
        // Pending requests are no longer answered.
        agent_->close();
        death_.notify();
        if (!ending_ && events_.died) events_.died(reason_);
    }

    GuestEvents events_;
    std::unique_ptr<vm::Qemu> qemu_;
    std::optional<agent::Client> agent_;
    base::Event death_;        // dead_ was set
    base::Event channel_end_;  // channel_closed_ was set
    asio::steady_timer kill_timer_;
    std::string killed_for_;
    std::string reason_;
    bool channel_closed_ = false;
    bool ending_ = false;  // its end is intended
    bool dead_ = false;
};

Guest::Guest(const asio::any_io_executor& executor, vm::Machine machine, GuestEvents events, const vm::TemplateFile* origin)
    : state_(std::make_shared<State>(executor, std::move(machine), std::move(events), origin)) {
    state_->start(executor, origin != nullptr);
}

Guest::~Guest() {
    state_->abandon();
}

awaitable<agent::Ready> Guest::ready(std::chrono::steady_clock::duration limit) {
    return state_->ready(limit);
}

awaitable<agent::Reply> Guest::request(agent::Request request) {
    return state_->request(std::move(request));
}

awaitable<agent::Reply> Guest::request(agent::Request request, std::chrono::steady_clock::duration limit) {
    return state_->request(std::move(request), limit);
}

void Guest::grant(uint64_t process, agent::Stream stream, uint32_t bytes) {
    state_->grant(process, stream, bytes);
}

void Guest::input(uint64_t process, std::string_view data, bool end) {
    state_->input(process, data, end);
}

void Guest::resize(uint64_t process, const agent::Terminal& terminal) {
    state_->resize(process, terminal);
}

bool Guest::restored() const {
    return state_->restored();
}

pid_t Guest::pid() const {
    return state_->pid();
}

void Guest::kill(const std::string& reason) {
    state_->kill_for(reason);
}

awaitable<vm::SavedVm> Guest::save() {
    return state_->save();
}

awaitable<void> Guest::end() {
    return state_->end();
}

}  // namespace runtime
