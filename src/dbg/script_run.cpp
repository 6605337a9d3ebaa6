#include "dbg/script_run.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/fd.h"
#include "base/size.h"
#include "base/temporary_folder.h"
#include "base/untrusted_text.h"
#include "base/worker.h"
#include "dbg/volumes/transfer.h"

namespace dbg {
namespace asio = boost::asio;
namespace api = exeunit::api;
using asio::awaitable;
using Kind = ScriptCommand::Kind;
namespace {

constexpr size_t kLongestSaid = 8 << 10;
constexpr double kDefaultStorageGib = 0.25;  // the runtime's
constexpr double kTolerance = 1.05;

// The other end of a VPN card on which nobody is: what the VM sends is dropped.
class EmptyNetwork {
public:
    std::string endpoint() {
        if (!socket_) {
            socket_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
            sockaddr_in address{};
            address.sin_family = AF_INET;
            address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            socklen_t length = sizeof address;
            if (::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), length) < 0 ||
                ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &length) < 0)
                base::throw_errno("cannot make a network");
            port_ = ntohs(address.sin_port);
        }
        return "udp://127.0.0.1:" + std::to_string(port_);
    }

private:
    base::UniqueFd socket_;
    uint16_t port_ = 0;
};

struct Outcome {
    CapturedOutput out{{}};
    CapturedOutput err{{}};
    int code = 0;
    std::string message;  // why it failed; empty: it did not
};

CapturedOutput whole(const std::string& text) {
    CapturedOutput output({.head = kMaxCaptured});
    output.write(text);
    return output;
}

void say(const std::string& text) {
    (void)std::fprintf(stderr, "%s\n", base::printable(text, kLongestSaid).c_str());
}

class Script {
public:
    Script(const asio::any_io_executor& executor, std::vector<ScriptCommand> commands, ScriptVm vm, ScriptPlaces places)
        : executor_(executor), commands_(std::move(commands)), vm_(std::move(vm)), places_(std::move(places)) {}
    ~Script() { *stop_ = true; }
    Script(const Script&) = delete;
    Script& operator=(const Script&) = delete;

    awaitable<int> run() {
        const auto first = std::find_if(commands_.begin(), commands_.end(), [](const ScriptCommand& c) { return c.kind != Kind::sign; });
        const ScriptCommand plain;
        if (first == commands_.end() || first->kind != Kind::deploy) {
            (void)co_await deploy(plain);
            if (first == commands_.end() || first->kind != Kind::start) (void)co_await start(plain);
        }
        for (size_t i = 0; i < commands_.size(); i++) {
            const Outcome outcome = co_await perform(commands_[i]);
            const bool ok = outcome.message.empty();
            const std::string line = result_line({.index = i,
                                                  .ok = ok,
                                                  .out = outcome.out,
                                                  .err = outcome.err,
                                                  .message = base::printable(outcome.message, kLongestSaid),
                                                  .last = !ok || i + 1 == commands_.size()});
            base::write_all(STDOUT_FILENO, line + "\n", "the output");
            if (!ok) co_return outcome.code;
        }
        co_return 0;
    }

private:
    enum class State { initial, deployed, ready };

    awaitable<Outcome> perform(const ScriptCommand& command) {
        Outcome outcome;
        try {
            switch (command.kind) {
                case Kind::sign:
                    say("sign: there is no key of a provider here; nothing is signed");
                    break;
                case Kind::deploy:
                    outcome = co_await deploy(command);
                    break;
                case Kind::start:
                    outcome = co_await start(command);
                    break;
                case Kind::run:
                    outcome = co_await run_process(command);
                    break;
                case Kind::transfer:
                    co_await transfer_file(command);
                    break;
                case Kind::terminate:
                    co_await terminate();
                    break;
            }
        } catch (const base::Error& e) {
            outcome.code = 1;
            outcome.message = *e.what() ? e.what() : "failed";
        }
        co_return outcome;
    }

    void require(State state, const char* what) const {
        if (state_ != state) throw base::Error(std::string("not now: ") + what);
    }

    awaitable<Outcome> deploy(const ScriptCommand& command) {
        require(State::initial, "a deploy comes first, and again only after terminate");
        for (const std::string& key : command.ignored)
            say("deploy: " + base::quote(key) + " means nothing here and is ignored");
        std::vector<std::string> options;
        if (!command.hostname.empty()) options.insert(options.end(), {"--hostname", command.hostname});
        if (!command.volume_override.empty()) options.insert(options.end(), {"--volume-override", command.volume_override});
        const std::string printed = co_await vm_.deploy(std::move(options));
        volumes_ = volume_folders(printed, places_.workdir);
        networks_ = command.networks;
        hosts_ = command.hosts;
        state_ = State::deployed;
        co_return Outcome{.out = whole(printed), .err = CapturedOutput({}), .code = 0, .message = {}};
    }

    awaitable<Outcome> start(const ScriptCommand& command) {
        require(State::deployed, "a start comes after a deploy");
        const bool network = !networks_.empty() || !hosts_.empty();
        std::vector<std::string> options;
        if (network) options = {"--vpn-endpoint", network_.endpoint()};
        const std::string output = co_await vm_.start(std::move(options), command.args);
        state_ = State::ready;
        if (network) co_await make_network();
        co_return Outcome{.out = whole(output), .err = CapturedOutput({}), .code = 0, .message = {}};
    }

    awaitable<void> make_network() {
        say("deploy: the VM has its card, address and hosts, but nobody else is on its network here");
        api::CreateNetwork request;
        request.set_interface(api::VPN);
        for (const ScriptNetwork& wanted : networks_) {
            api::Network* network = request.add_networks();
            network->set_addr(wanted.ip);
            network->set_mask(wanted.mask);
            network->set_gateway(wanted.gateway);
            network->set_if_addr(wanted.node_ip);
        }
        for (const auto& [name, address] : hosts_)
            (*request.mutable_hosts())[name] = address;
        co_await vm_.network(std::move(request));
    }

    awaitable<Outcome> run_process(const ScriptCommand& command) {
        require(State::ready, "a run comes after a start");
        Outcome outcome{.out = CapturedOutput(command.out), .err = CapturedOutput(command.err), .code = 0, .message = {}};
        api::RunProcess process;
        process.set_bin(command.entry_point);
        process.add_args(command.entry_point.substr(command.entry_point.rfind('/') + 1));
        for (const std::string& argument : command.args)
            process.add_args(argument);
        const exeunit::StatusHandler status = [&outcome](const api::ProcessStatus& s) {
            outcome.out.write(s.stdout());
            outcome.err.write(s.stderr());
        };
        outcome.code = co_await vm_.run(std::move(process), status);
        if (outcome.code != 0) outcome.message = "ExeScript command exited with code " + std::to_string(outcome.code);
        co_return outcome;
    }

    awaitable<void> transfer_file(const ScriptCommand& command) {
        require(State::ready, "a transfer comes after a start");
        if (!staging_) staging_ = std::make_shared<base::TemporaryFolder>(places_.workdir, "transfer-");
        const TransferPlaces places{.volumes = volumes_, .staging = staging_->path(), .limit = places_.transfer_limit};
        const std::function<void()> work = [from = command.from, to = command.to, places, stop = stop_, staging = staging_] {
            transfer(from, to, places, *stop);
        };
        co_await worker_.run(work);
    }

    awaitable<void> terminate() {
        if (state_ == State::ready) co_await vm_.shut_down();
        state_ = State::initial;
    }

    asio::any_io_executor executor_;
    std::vector<ScriptCommand> commands_;
    ScriptVm vm_;
    ScriptPlaces places_;
    State state_ = State::initial;
    std::vector<VolumeFolder> volumes_;
    std::vector<ScriptNetwork> networks_;
    std::map<std::string, std::string> hosts_;
    EmptyNetwork network_;
    std::shared_ptr<base::TemporaryFolder> staging_;
    std::shared_ptr<std::atomic<bool>> stop_ = std::make_shared<std::atomic<bool>>(false);
    base::Worker worker_{executor_};
};

}  // namespace

awaitable<int> run_script(asio::any_io_executor executor, std::vector<ScriptCommand> script, ScriptVm vm, ScriptPlaces places) {
    Script running(executor, std::move(script), std::move(vm), std::move(places));
    co_return co_await running.run();
}

uint64_t transfer_limit(const std::vector<std::string>& runtime_options) {
    double gib = kDefaultStorageGib * kTolerance;
    std::optional<double> limit;
    const auto value = [&runtime_options](size_t i, const std::string& name) -> std::optional<double> {
        const std::string& option = runtime_options[i];
        const bool joined = option.starts_with(name + "=");
        if (!joined && (option != name || i + 1 == runtime_options.size())) return std::nullopt;
        return std::strtod((joined ? option.substr(name.size() + 1) : runtime_options[i + 1]).c_str(), nullptr);
    };
    for (size_t i = 0; i < runtime_options.size(); i++) {
        if (const auto storage = value(i, "--storage-gib")) gib = *storage * kTolerance;
        if (const auto given = value(i, "--storage-limit-gib")) limit = given;
    }
    gib = limit.value_or(gib);
    return gib > 0 ? base::gib_to_bytes(gib) : 0;
}

}  // namespace dbg
