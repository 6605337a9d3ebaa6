// What a system test needs to drive the real programs: a work folder, `deploy`, a running runtime, its processes; and at the end a check
// that no QEMU is left.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "exeunit/client.h"
#include "exeunit/launch.h"

namespace system_test {

namespace api = exeunit::api;
namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Duration = std::chrono::milliseconds;

// Generous: every wait ends at a condition, and this limit only tells a hang from a slow machine.
constexpr Duration kDeadline = 120s;

fs::path program(const std::string& name);  // of the build, "ya-runtime-vm"
fs::path image(const std::string& name);    // of those that images.sh makes, "plain" for plain.gvmi
std::string text_of(const fs::path& file);  // empty where there is none
// Living processes, ended ones that wait to be reaped excepted: those of a process group; those of our QEMU, whoever started them.
std::vector<pid_t> group_members(pid_t pgid);
std::vector<pid_t> qemu_processes();

struct RunOptions {
    std::string bin = {};  // empty: argv[0]
    std::string work_dir = {};
    std::optional<uint32_t> stdout_at_end = {};
    std::optional<uint32_t> stderr_at_end = {};
    exeunit::StatusHandler status = {};  // takes the statuses instead of Process, whose code is still set
};

// A process in the VM and what it has written so far.
struct Process {
    uint64_t pid = 0;
    std::string out;
    std::string err;
    std::optional<int> code;  // once its final status is here
};

// `ya-runtime-vm … start`, in a process group of its own, and the supervisor's end of its pipe.
class Runtime {
public:
    Runtime(const std::vector<std::string>& argv, const fs::path& workdir);
    ~Runtime();  // kills the rest

    // Throw what the client's request throws, and base::Error at the deadline.
    std::string hello() { return wait(client().hello()); }
    std::string hello_error();  // what hello is answered with instead of a version; "no error"
    Process run(const std::vector<std::string>& argv, const RunOptions& options = {}, Duration deadline = kDeadline);
    Process sh(const std::string& script) { return run({"/bin/sh", "-c", script}); }
    void kill(uint64_t pid, int signal = 0) { wait(client().kill(pid, signal)); }

    // Starts a process and returns when it runs; `finish` waits for its final status.
    std::shared_ptr<Process> begin(const std::vector<std::string>& argv, const RunOptions& options = {});
    void finish(const std::shared_ptr<Process>& process, Duration deadline = kDeadline);

    // Asks for the shutdown and returns the runtime's exit code.
    int shutdown();
    // The exit code of a runtime that ends by itself, once all of its output has been read; base::Error at the deadline.
    int exit_code(Duration deadline = kDeadline);

    template <typename T>
    T wait(boost::asio::awaitable<T> work, Duration deadline = kDeadline) {
        auto future = boost::asio::co_spawn(io_, std::move(work), boost::asio::use_future);
        until([&future] { return future.wait_for(0s) == std::future_status::ready; }, deadline);
        return future.get();
    }
    // Serves the pipe until the condition holds; base::Error at the deadline.
    void until(const std::function<bool()>& condition, Duration deadline = kDeadline);
    // Serves the pipe for so long.
    void serve(Duration time);

    exeunit::Client& client() { return *client_; }
    boost::asio::io_context& io() { return io_; }
    pid_t pid() const { return pid_; }
    pid_t qemu_pid() const;                                                  // 0: there is none
    uint64_t own_memory_bytes() const;                                       // of the runtime alone, without its program
    const std::string& closed() const { return closed_; }                    // why the pipe ended; empty while it has not
    const std::vector<api::RuntimeStatus>& told() const { return told_; }    // runtime status events
    const std::vector<api::ProcessStatus>& stray() const { return stray_; }  // statuses that belong to no run of ours

private:
    boost::asio::io_context io_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
    exeunit::Launched launched_;
    pid_t pid_;
    std::unique_ptr<exeunit::Client> client_;
    std::vector<api::ProcessStatus> stray_;
    std::vector<api::RuntimeStatus> told_;
    std::string closed_;
};

class SystemTest : public testing::Test {
protected:
    // Makes sure that a template for VMs of the default size exists, so that no test makes one as a side effect.
    static void SetUpTestSuite();
    SystemTest();
    void SetUp() override;
    void TearDown() override;  // nothing that this test started may be left, least of all a QEMU

    // Checks the exit code and the form of what deploy prints, and returns it.
    nlohmann::json deploy(const std::vector<std::string>& arguments = {});
    // Starts a runtime; `start` also waits for hello. The arguments are added to the accelerator (tcg), the workdir and the image.
    std::unique_ptr<Runtime> launch(const std::vector<std::string>& options = {}, const std::vector<std::string>& start_arguments = {});
    std::unique_ptr<Runtime> start(const std::vector<std::string>& options = {}, const std::vector<std::string>& start_arguments = {});

    struct Output {
        int code;
        std::string out;
        std::string err;
    };
    // Runs any program to its end in the workdir, with nothing on stdin; base::Error at the deadline.
    Output run_program(const std::vector<std::string>& argv, Duration deadline = kDeadline);

    fs::path workdir;
    fs::path task_package;              // image("plain") until a test says otherwise
    std::vector<std::string> launcher;  // a command that becomes the runtime: its own arguments, then the runtime's are added

private:
    std::vector<std::string> runtime_argv(const std::vector<std::string>& options) const;
    std::vector<pid_t> left_behind() const;
    std::vector<pid_t> groups_;
};

}  // namespace system_test
