// A supervisor of many VMs, for measuring: it obeys lines on stdin and answers each with a line of JSON on stdout.
//
// bench_driver WORKDIR RUNTIME OPTIONS...
//   RUNTIME OPTIONS... deploy|start is what a supervisor would call; the image holds tool.c as /bin/tool.
//
// start COUNT [OPTION...]     deploys so many VMs one after another, each in a folder of its own below WORKDIR, then starts them all at
//                             once, with these options too, and lets each run `tool true`. Answers with a list, one of
//                             {"folder", "pid", "deploy", "spawned", "hello", "first exit"} per VM: `spawned` is on the clock
//                             CLOCK_MONOTONIC, the last two are counted from there. What the VM's runtime says is in FOLDER/stderr.
// network VM INTERFACE ADDRESS PREFIX
//                             configures a card (0: VPN, 1: INET) of the VM with this number. Answers with the port of its link.
// ask VM BIN ARG...           lets the VM run the command. Answers with {"took", "code", "out", "err"}.
// run COUNT OUTPUT BIN ARG... lets the first VM run the command so many times, each of which must write so many bytes. Answers with a
//                             list: from each request to its final status.
// end                         shuts all VMs down, and answers with a list: from each request to its answer.
//
// All times are seconds.
#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "exeunit/client.h"
#include "exeunit/launch.h"

namespace {

namespace asio = boost::asio;
using asio::awaitable;
using Clock = std::chrono::steady_clock;  // CLOCK_MONOTONIC
using nlohmann::json;
using namespace std::chrono_literals;

constexpr auto kDeadline = 300s;  // for what one line asks; a VM that has hung must not hang us

double seconds(Clock::duration duration) {
    return std::chrono::duration<double>(duration).count();
}

struct Vm {
    std::filesystem::path folder;
    Clock::time_point spawned;
    base::Child runtime;
    std::unique_ptr<exeunit::Client> client;
    json seen;
};

struct RunResult {
    double took = 0;  // seconds from the request to the final status
    int code = -1;
    size_t bytes = 0;      // on stdout
    std::string out, err;  // where it is kept
};

awaitable<RunResult> run_process(exeunit::Client& client, const std::vector<std::string>& argv, bool keep) {
    ya_runtime_api::RunProcess process;
    process.set_bin(argv.at(0));
    for (const std::string& argument : argv)
        process.add_args(argument);
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer ended(executor, Clock::time_point::max());
    RunResult seen;
    const auto status = [&](const ya_runtime_api::ProcessStatus& s) {
        seen.bytes += s.stdout().size();
        if (keep) seen.out += s.stdout();
        if (keep) seen.err += s.stderr();
        if (s.running()) return;
        seen.code = s.return_code();
        ended.cancel();
    };
    const Clock::time_point start = Clock::now();
    co_await client.run(std::move(process), status);
    boost::system::error_code cancelled;
    if (seen.code < 0) co_await ended.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    seen.took = seconds(Clock::now() - start);
    co_return seen;
}

awaitable<void> begin(Vm& vm) {
    co_await vm.client->hello();
    vm.seen["hello"] = seconds(Clock::now() - vm.spawned);
    const std::vector<std::string> nothing{"/bin/tool", "true"};
    if ((co_await run_process(*vm.client, nothing, false)).code != 0) throw base::Error("the first command failed");
    vm.seen["first exit"] = seconds(Clock::now() - vm.spawned);
}

awaitable<void> repeat(Vm& vm, int count, size_t output, std::vector<std::string> argv, json& took) {
    for (int i = 0; i < count; i++) {
        const RunResult seen = co_await run_process(*vm.client, argv, false);
        if (seen.code != 0) throw base::Error(argv[0] + " ended with " + std::to_string(seen.code));
        if (seen.bytes != output)
            throw base::Error(argv[0] + " wrote " + std::to_string(seen.bytes) + " bytes, not " + std::to_string(output));
        took.push_back(seen.took);
    }
}

awaitable<void> ask_for(Vm& vm, std::vector<std::string> argv, json& answer) {
    const RunResult seen = co_await run_process(*vm.client, argv, true);
    answer = {{"took", seen.took}, {"code", seen.code}, {"out", seen.out}, {"err", seen.err}};
}

awaitable<void> configure(Vm& vm, ya_runtime_api::CreateNetwork request, json& port) {
    const ya_runtime_api::NetworkEndpoint endpoint = co_await vm.client->network(std::move(request));
    port = std::stoi(endpoint.udp_datagram().substr(endpoint.udp_datagram().rfind(':') + 1));
}

awaitable<void> shut_down(Vm& vm, json& took) {
    const Clock::time_point asked = Clock::now();
    co_await vm.client->shutdown();
    took.push_back(seconds(Clock::now() - asked));
}

class Driver {
public:
    Driver(std::filesystem::path workdir, std::vector<std::string> runtime) : workdir_(std::move(workdir)), runtime_(std::move(runtime)) {}

    // VMs that are still there die with us.
    json obey(const std::string& line) {
        std::istringstream words(line);
        std::string command;
        words >> command;
        if (command == "start") return start(words);
        if (command == "network") return network(words);
        if (command == "ask") return ask(words);
        if (command == "run") return run(words);
        if (command == "end") return end();
        throw base::Error("unknown command: " + line);
    }

private:
    json start(std::istream& words) {
        int count = 0;
        words >> count;
        const std::vector<std::string> options{std::istream_iterator<std::string>(words), {}};
        const size_t first = vms_.size();
        for (int i = 0; i < count; i++)
            deploy(options);
        std::vector<awaitable<void>> work;
        for (size_t i = first; i < vms_.size(); i++) {
            launch(*vms_[i], options);
            work.push_back(begin(*vms_[i]));
        }
        finish(std::move(work));
        json seen = json::array();
        for (size_t i = first; i < vms_.size(); i++)
            seen.push_back(vms_[i]->seen);
        return seen;
    }

    json run(std::istream& words) {
        int count = 0;
        size_t output = 0;
        words >> count >> output;
        const std::vector<std::string> argv{std::istream_iterator<std::string>(words), {}};
        json took = json::array();
        std::vector<awaitable<void>> work;
        work.push_back(repeat(*vms_.at(0), count, output, argv, took));
        finish(std::move(work));
        return took;
    }

    json network(std::istream& words) {
        size_t vm = 0;
        int interface = 0;
        std::string address;
        std::string prefix;
        words >> vm >> interface >> address >> prefix;
        ya_runtime_api::CreateNetwork request;
        request.set_interface(static_cast<ya_runtime_api::NetworkInterface>(interface));
        ya_runtime_api::Network& network = *request.add_networks();
        network.set_addr(address);
        network.set_if_addr(address);
        network.set_mask(prefix);
        json port;
        std::vector<awaitable<void>> work;
        work.push_back(configure(*vms_.at(vm), std::move(request), port));
        finish(std::move(work));
        return port;
    }

    json ask(std::istream& words) {
        size_t vm = 0;
        words >> vm;
        std::vector<std::string> argv{std::istream_iterator<std::string>(words), {}};
        json answer;
        std::vector<awaitable<void>> work;
        work.push_back(ask_for(*vms_.at(vm), std::move(argv), answer));
        finish(std::move(work));
        return answer;
    }

    json end() {
        json took = json::array();
        std::vector<awaitable<void>> work;
        work.reserve(vms_.size());
        for (const auto& vm : vms_)
            work.push_back(shut_down(*vm, took));
        finish(std::move(work));
        for (const auto& vm : vms_) {
            if (exeunit::wait_for(vm->runtime, 10s) != 0) throw base::Error("the runtime did not end in order");
        }
        vms_.clear();
        return took;
    }

    std::vector<std::string> call(const char* command, const std::vector<std::string>& options) const {
        std::vector<std::string> argv = runtime_;
        argv.insert(argv.end(), options.begin(), options.end());
        argv.emplace_back(command);
        return argv;
    }

    void deploy(const std::vector<std::string>& options) {
        auto vm = std::make_unique<Vm>();
        vm->folder = workdir_ / std::to_string(vms_.size());
        std::filesystem::create_directories(vm->folder);
        const Clock::time_point start = Clock::now();
        exeunit::Launched deploy =
            exeunit::launch({.argv = call("deploy", options), .working_directory = vm->folder, .stderr_fd = STDERR_FILENO});
        if (exeunit::wait_for(deploy.child, 60s) != 0) throw base::Error("deploy failed");
        vm->seen = {{"folder", vm->folder.string()}, {"deploy", seconds(Clock::now() - start)}};
        vms_.push_back(std::move(vm));
    }

    void launch(Vm& vm, const std::vector<std::string>& options) {
        const base::UniqueFd errors = base::open_file(vm.folder / "stderr", O_WRONLY | O_CREAT | O_TRUNC);
        vm.spawned = Clock::now();
        exeunit::Launched launched =
            exeunit::launch({.argv = call("start", options), .working_directory = vm.folder, .stderr_fd = errors.get()});
        vm.runtime = std::move(launched.child);
        vm.client =
            std::make_unique<exeunit::Client>(io_.get_executor(), std::move(launched.input), std::move(launched.output), exeunit::Events{});
        vm.seen["pid"] = vm.runtime.pid();
        vm.seen["spawned"] = seconds(vm.spawned.time_since_epoch());
    }

    // Runs all of them at once, and returns when the last is done. Throws the first exception of any of them.
    void finish(std::vector<awaitable<void>> work) {
        size_t left = work.size();
        std::exception_ptr failure;
        for (awaitable<void>& piece : work) {
            asio::co_spawn(io_, std::move(piece), [&](std::exception_ptr error) {
                if (error) failure = std::move(error);
                if (--left == 0 || failure) io_.stop();
            });
        }
        io_.restart();
        io_.run_for(kDeadline);
        if (failure) std::rethrow_exception(failure);
        if (left > 0) throw base::Error("a VM has not answered for " + std::to_string(kDeadline.count()) + " s");
    }

    std::filesystem::path workdir_;
    std::vector<std::string> runtime_;
    asio::io_context io_;
    std::vector<std::unique_ptr<Vm>> vms_;
};

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc < 3) throw base::Error("usage: bench_driver WORKDIR RUNTIME OPTIONS...");
        (void)std::signal(SIGPIPE, SIG_IGN);
        Driver driver(argv[1], {argv + 2, argv + argc});
        for (std::string line; std::getline(std::cin, line);)
            std::cout << driver.obey(line).dump() << '\n' << std::flush;
        return 0;
    } catch (const std::exception& e) {
        (void)std::fprintf(stderr, "error: %s\n", e.what());
        return 1;
    }
}
