// A VM without the runtime: QEMU, the guest and the agent's client, for the tests of the guest.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/client.h"
#include "vm/qemu.h"

namespace guest_test {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// Generous: every wait ends at a condition, and this limit only tells a hang from a slow machine.
constexpr auto kDeadline = std::chrono::seconds(60);

// One process in the VM as the host sees it.
struct Process {
    uint64_t number = 0;
    std::string out;
    std::string err;
    size_t out_bytes = 0;  // also where `keep` is off
    std::optional<agent::Exited> exited;
    bool grant = true;  // give new credit for what has arrived
    bool keep = true;
};

// A disk of the VM that is a file of the host.
struct DiskFile {
    fs::path path;
    std::string serial;
    bool read_only = true;
};

struct VmOptions {
    std::string qemu = GVMKIT_RUNTIME "/qemu/qemu-system-x86_64";
    std::vector<DiskFile> disks;
    std::optional<fs::path> share;
    std::array<std::optional<vm::Card>, vm::kCards> cards = {};
    uint64_t memory = 256ULL << 20;
    unsigned cores = 1;
    std::vector<vm::PciDevice> pci_devices = {};
};

class GuestVm {
public:
    explicit GuestVm(VmOptions options);
    GuestVm(const GuestVm&) = delete;
    GuestVm& operator=(const GuestVm&) = delete;

    // A Setup that names the first image and a root of 64 MiB in memory.
    static agent::Setup setup(const std::string& image = "image");
    void set_up(agent::Setup setup);

    // Throws what Client::request throws, and base::Error at the deadline.
    void request(agent::Request request);

    static agent::Exec exec(const std::vector<std::string>& argv);
    // Starts a process; throws agent::GuestError where it does not run.
    std::shared_ptr<Process> begin(agent::Exec exec, bool grant = true);
    std::shared_ptr<Process> begin(const std::vector<std::string>& argv) { return begin(exec(argv)); }
    // Runs it to its end.
    std::shared_ptr<Process> run(agent::Exec exec);
    std::shared_ptr<Process> run(const std::vector<std::string>& argv) { return run(exec(argv)); }
    std::shared_ptr<Process> sh(const std::string& script) { return run({"/bin/sh", "-c", script}); }
    void finish(const std::shared_ptr<Process>& process);
    void kill(uint64_t process, int signal);
    // Sends all of it to the process's stdin, as the process takes it.
    void type(const std::shared_ptr<Process>& process, std::string_view data, bool end = false);
    // What the guest answers to an Exec that fails.
    agent::GuestError refused(const agent::Exec& exec);

    // Serves the channel until the condition holds; base::Error at the deadline.
    void until(const std::function<bool()>& condition, std::chrono::steady_clock::duration deadline = kDeadline);
    void serve(std::chrono::steady_clock::duration time);

    agent::Client& client() { return *client_; }
    pid_t qemu_pid() const { return qemu_->pid(); }
    const std::string& log() const { return log_; }
    const std::optional<std::string>& closed() const { return closed_; }

private:
    boost::asio::io_context io_;
    std::unique_ptr<vm::Qemu> qemu_;
    std::unique_ptr<agent::Client> client_;
    std::map<uint64_t, std::shared_ptr<Process>> processes_;
    uint64_t last_process_ = 0;
    std::string log_;
    std::optional<std::string> closed_;
};

}  // namespace guest_test
