// Measures a runtime through the supervisor's pipe and prints the figures as JSON: seconds, one per run.
//
// bench_driver WORKDIR STARTS EXECS TRANSFERS BYTES VOLUME RUNTIME OPTIONS...
//   RUNTIME OPTIONS... deploy|start is what a supervisor would call; VOLUME is a path in the VM that the host shares; the image holds
//   tool.c as /bin/tool.
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "exeunit/client.h"
#include "exeunit/launch.h"

namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

struct Arguments {
    std::string workdir;
    int starts;
    int execs;
    int transfers;
    std::string bytes;
    std::string volume;
    std::vector<std::string> runtime;
};

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<std::string> call(const Arguments& arguments, const char* command) {
    std::vector<std::string> argv = arguments.runtime;
    argv.emplace_back(command);
    return argv;
}

class Bench {
public:
    explicit Bench(const Arguments& arguments) : arguments_(arguments) {}

    nlohmann::json run() {
        for (int i = 0; i < arguments_.starts; i++) {
            deploy();
            const Clock::time_point spawned = Clock::now();
            exeunit::Launched runtime = exeunit::launch({.argv = call(arguments_, "start"), .working_directory = arguments_.workdir});
            measure(runtime, spawned, i + 1 == arguments_.starts);
            if (exeunit::wait_for(runtime.child, 10s) != 0) throw base::Error("the runtime did not end in order");
        }
        return figures_;
    }

private:
    void deploy() {
        const Clock::time_point start = Clock::now();
        exeunit::Launched deploy =
            exeunit::launch({.argv = call(arguments_, "deploy"), .working_directory = arguments_.workdir, .stderr_fd = STDERR_FILENO});
        if (exeunit::wait_for(deploy.child, 60s) != 0) throw base::Error("deploy failed");
        figures_["deploy"].push_back(seconds_since(start));
    }

    // One VM from its start to its end; the last does everything else, too.
    void measure(exeunit::Launched& runtime, Clock::time_point spawned, bool last) {
        asio::io_context io;
        exeunit::Client client(io.get_executor(), std::move(runtime.input), std::move(runtime.output), {});
        std::exception_ptr failure;
        asio::co_spawn(io, session(client, spawned, last), [&failure, &io](std::exception_ptr error) {
            failure = std::move(error);
            io.stop();
        });
        io.run();
        if (failure) std::rethrow_exception(failure);
    }

    asio::awaitable<void> session(exeunit::Client& client, Clock::time_point spawned, bool last) {
        co_await client.hello();
        figures_["start to hello"].push_back(seconds_since(spawned));
        const std::vector<std::string> nothing{"tool", "true"};
        co_await tool(client, nothing);
        figures_["start to first exit"].push_back(seconds_since(spawned));
        if (last) co_await everything_else(client);
        const Clock::time_point asked = Clock::now();
        co_await client.shutdown();
        figures_["shutdown"].push_back(seconds_since(asked));
    }

    asio::awaitable<void> everything_else(exeunit::Client& client) {
        const std::string file = arguments_.volume + "/bench";
        const std::vector<std::string> nothing{"tool", "true"};
        const std::vector<std::string> out{"tool", "out", arguments_.bytes};
        const std::vector<std::string> write{"tool", "write", file, arguments_.bytes};
        const std::vector<std::string> read{"tool", "read", file};
        for (int i = 0; i < arguments_.execs; i++)
            figures_["exec"].push_back(co_await tool(client, nothing));
        for (int i = 0; i < arguments_.transfers; i++) {
            figures_["output"].push_back(co_await tool(client, out));
            figures_["volume write"].push_back(co_await tool(client, write));
            figures_["volume read"].push_back(co_await tool(client, read));
        }
    }

    // Runs the tool and returns the seconds from the request to its final status.
    static asio::awaitable<double> tool(exeunit::Client& client, const std::vector<std::string>& args) {
        ya_runtime_api::RunProcess process;
        process.set_bin("/bin/tool");
        for (const std::string& argument : args)
            process.add_args(argument);
        const auto executor = co_await asio::this_coro::executor;
        asio::steady_timer ended(executor, Clock::time_point::max());
        int code = -1;
        size_t bytes = 0;
        const auto status = [&](const ya_runtime_api::ProcessStatus& s) {
            bytes += s.stdout().size();
            if (s.running()) return;
            code = s.return_code();
            ended.cancel();
        };
        const Clock::time_point start = Clock::now();
        co_await client.run(std::move(process), status);
        boost::system::error_code cancelled;
        if (code < 0) co_await ended.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
        const double seconds = seconds_since(start);
        if (code != 0) throw base::Error("tool " + args[1] + " ended with " + std::to_string(code));
        if (args[1] == "out" && std::to_string(bytes) != args[2]) throw base::Error("output is missing");
        co_return seconds;
    }

    const Arguments& arguments_;
    std::map<std::string, std::vector<double>> figures_;
};

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc < 9) throw base::Error("usage: bench_driver WORKDIR STARTS EXECS TRANSFERS BYTES VOLUME RUNTIME OPTIONS...");
        (void)std::signal(SIGPIPE, SIG_IGN);
        const Arguments arguments{.workdir = argv[1],
                                  .starts = std::stoi(argv[2]),
                                  .execs = std::stoi(argv[3]),
                                  .transfers = std::stoi(argv[4]),
                                  .bytes = argv[5],
                                  .volume = argv[6],
                                  .runtime = {argv + 7, argv + argc}};
        std::puts(Bench(arguments).run().dump().c_str());
        return 0;
    } catch (const std::exception& e) {
        (void)std::fprintf(stderr, "error: %s\n", e.what());
        return 1;
    }
}
