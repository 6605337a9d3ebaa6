#include "guest_vm.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/random.h>

#include "base/error.h"

namespace guest_test {

namespace asio = boost::asio;

namespace {

constexpr uint32_t kCredit = 256 << 10;

vm::Machine machine(VmOptions options) {
    vm::Machine machine;
    machine.qemu = vm::find_qemu(options.qemu);
    machine.accelerator = vm::Accelerator::tcg;
    machine.cores = options.cores;
    machine.memory_bytes = options.memory;
    machine.kernel = fs::path(GVMKIT_RUNTIME) / "vmlinux";
    machine.initramfs = fs::path(GVMKIT_RUNTIME) / "initramfs";
    for (const DiskFile& disk : options.disks)
        machine.disks.push_back({base::open_file(disk.path, disk.read_only ? O_RDONLY : O_RDWR), disk.serial, disk.read_only, false});
    if (options.share) machine.share = vm::Share{*options.share};
    machine.cards = std::move(options.cards);
    machine.pci_devices = std::move(options.pci_devices);
    return machine;
}

}  // namespace

GuestVm::GuestVm(VmOptions options) {
    qemu_ = vm::Qemu::start(io_.get_executor(), machine(std::move(options)));
    agent::Events events;
    events.output = [this](const agent::Output& output) {
        const auto process = processes_.find(output.process());
        ASSERT_NE(process, processes_.end());
        ASSERT_FALSE(process->second->exited) << "output after the exit";
        const bool first = output.stream() == agent::STDOUT;
        if (process->second->keep) (first ? process->second->out : process->second->err) += output.data();
        if (first) process->second->out_bytes += output.data().size();
        if (process->second->grant) client_->grant(output.process(), output.stream(), static_cast<uint32_t>(output.data().size()));
    };
    events.exited = [this](const agent::Exited& exited) { processes_.at(exited.process())->exited = exited; };
    events.log = [this](const std::string& line) { log_ += line + "\n"; };
    events.closed = [this](const std::string& reason) { closed_ = reason; };
    client_ = std::make_unique<agent::Client>(io_.get_executor(), qemu_->take_agent_channel(), std::move(events));
    auto ready = asio::co_spawn(io_, client_->ready(kDeadline), asio::use_future);
    until([&] { return ready.wait_for(0s) == std::future_status::ready; });
    ready.get();
}

agent::Setup GuestVm::setup(const std::string& image) {
    agent::Setup setup;
    std::string seed(64, '\0');
    EXPECT_EQ(::getrandom(seed.data(), seed.size(), 0), static_cast<ssize_t>(seed.size()));
    setup.set_seed(seed);
    setup.set_wall_clock_ns(std::chrono::system_clock::now().time_since_epoch() / 1ns);
    setup.set_hostname("golem");
    setup.add_images(image);
    setup.set_root_ram(64 << 20);
    return setup;
}

void GuestVm::set_up(agent::Setup setup) {
    agent::Request message;
    *message.mutable_setup() = std::move(setup);
    request(std::move(message));
}

void GuestVm::request(agent::Request message) {
    auto done = asio::co_spawn(io_, client_->request(std::move(message)), asio::use_future);
    until([&] { return done.wait_for(0s) == std::future_status::ready; });
    done.get();
}

agent::Exec GuestVm::exec(const std::vector<std::string>& argv) {
    agent::Exec exec;
    exec.set_bin(argv.at(0));
    for (const std::string& argument : argv)
        exec.add_args(argument);
    exec.set_credit(kCredit);
    return exec;
}

std::shared_ptr<Process> GuestVm::begin(agent::Exec exec, bool grant) {
    auto process = std::make_shared<Process>();
    process->number = ++last_process_;
    process->grant = grant;
    processes_[process->number] = process;
    exec.set_process(process->number);
    agent::Request message;
    *message.mutable_exec() = std::move(exec);
    request(std::move(message));
    return process;
}

std::shared_ptr<Process> GuestVm::run(agent::Exec exec) {
    auto process = begin(std::move(exec));
    finish(process);
    return process;
}

void GuestVm::finish(const std::shared_ptr<Process>& process) {
    until([&] { return process->exited.has_value(); });
}

void GuestVm::kill(uint64_t process, int signal) {
    agent::Request message;
    message.mutable_kill()->set_process(process);
    message.mutable_kill()->set_signal(signal);
    request(std::move(message));
}

void GuestVm::type(const std::shared_ptr<Process>& process, std::string_view data, bool end) {
    do {
        until([&] { return process->exited || client_->input_room(process->number) > 0 || data.empty(); });
        const std::string_view piece = data.substr(0, client_->input_room(process->number));
        data.remove_prefix(piece.size());
        client_->input(process->number, piece, end && data.empty());
    } while (!data.empty() && !process->exited);
}

agent::GuestError GuestVm::refused(const agent::Exec& exec) {
    try {
        begin(exec);
    } catch (const agent::GuestError& error) {
        return error;
    }
    ADD_FAILURE() << exec.bin() << " was not refused";
    return {agent::Error::INTERNAL, ""};
}

void GuestVm::until(const std::function<bool()>& condition, std::chrono::steady_clock::duration deadline) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    io_.restart();
    while (!condition()) {
        if (io_.run_one_until(end) == 0) throw base::Error("the guest did not do in time what the test waits for; its log:\n" + log_);
        if (closed_ && !condition()) throw base::Error("the channel was closed: " + *closed_);
    }
}

void GuestVm::serve(std::chrono::steady_clock::duration time) {
    io_.restart();
    io_.run_for(time);
}

}  // namespace guest_test
