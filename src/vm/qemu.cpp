#include "vm/qemu.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdio>
#include <list>
#include <optional>

#include "base/error.h"
#include "base/event.h"
#include "base/subprocess.h"
#include "base/timings.h"
#include "base/untrusted_text.h"
#include "vm/cgroup.h"
#include "vm/command_line.h"
#include "vm/confinement.h"
#include "vm/console_tail.h"
#include "vm/disk_errors.h"
#include "vm/qmp.h"
#include "vm/tsc.h"

namespace vm {
namespace asio = boost::asio;
namespace {

// Everything that QEMU opens by name once it runs; it gets the rest as descriptors.
Allowed files_of(const Machine& machine) {
    const QemuProgram& qemu = machine.qemu;
    Allowed allowed;
    allowed.execute = {qemu.file};
    allowed.read = {machine.kernel, machine.initramfs};
    if (qemu.is_ours()) {
        allowed.read.push_back(qemu.firmware);
    } else {
        // Its loader, the libraries that it is linked with, and its firmware.
        const std::filesystem::path prefix = qemu.file.parent_path().parent_path();
        allowed.execute.emplace_back("/lib64/ld-linux-x86-64.so.2");
        allowed.read.insert(allowed.read.end(),
                            {"/etc/ld.so.cache", "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/qemu",
                             "/usr/share/seabios", prefix / "lib", prefix / "lib64", prefix / "share/qemu", prefix / "share/seabios"});
    }
    if (machine.share) allowed.read_write = {machine.share->folder};
    allowed.devices = {"/dev/null", "/dev/urandom"};
    if (machine.accelerator == Accelerator::kvm) allowed.devices.emplace_back("/dev/kvm");
    for (const PciDevice& device : machine.pci_devices)
        allowed.devices.insert(allowed.devices.end(), device.files.begin(), device.files.end());
    // There QEMU looks up a device's IOMMU group.
    if (!machine.pci_devices.empty()) allowed.visible = {"/sys"};
    return allowed;
}

// The descriptors that go to QEMU and the ends that stay here.
struct Channels {
    std::pair<base::UniqueFd, base::UniqueFd> agent = base::socket_pair();
    std::pair<base::UniqueFd, base::UniqueFd> qmp = base::socket_pair();
    std::pair<base::UniqueFd, base::UniqueFd> console = base::socket_pair();
    std::pair<base::UniqueFd, base::UniqueFd> errors = base::socket_pair();
};

base::UniqueFd make_memory(uint64_t bytes) {
    base::UniqueFd memory = base::memory_file("vm-memory");
    if (::ftruncate(memory.get(), static_cast<off_t>(bytes)) < 0) base::throw_errno("cannot make a VM's memory");
    return memory;
}

// More than QEMU ever uses for such a VM in addition to what the kernel can reclaim (the page cache of images and volumes counts too): its
// own memory, the devices' buffers, and under emulation up to 1 GiB of translated code. Threads: CPUs, I/O workers (at most 64) and a few
// more.
Cgroup::Limits limits_of(const Machine& machine) {
    constexpr uint64_t kOwn = uint64_t{512} << 20;
    constexpr uint64_t kTranslated = uint64_t{1} << 30;
    const uint64_t own = std::max(kOwn, machine.memory_bytes / 4) + (machine.accelerator == Accelerator::tcg ? kTranslated : 0);
    return {.memory_bytes = machine.memory_bytes + own, .tasks = machine.cores + 256};
}

base::Child spawn_confined(base::Command& command, const Machine& machine, const Allowed& allowed, const Cgroup& cgroup, bool namespaces) {
    const Confinement confinement(allowed, namespaces);
    command.namespaces = confinement.start();
    command.before_exec = [&confinement, &cgroup, background = machine.background] {
        constexpr int kNicest = 19;
        cgroup.enter();
        return (!background || ::setpriority(PRIO_PROCESS, 0, kNicest) == 0) && confinement.enter();
    };
    base::Child child = base::spawn(command);
    if (!confinement.has_landlock() && machine.confinement == ConfinementMode::strict) throw ConfinementError(confinement_gaps(false, ""));
    if (!confinement.has_landlock()) spdlog::warn("QEMU runs without a part of its confinement: {}", confinement_gaps(false, ""));
    return child;
}

// Where the host lets us make no namespaces, with a log line and without.
base::Child spawn_confined(base::Command& command, const Machine& machine, const Allowed& allowed, const Cgroup& cgroup) {
    std::string obstacle;
    try {
        return spawn_confined(command, machine, allowed, cgroup, true);
    } catch (const base::SystemError& e) {
        obstacle = std::generic_category().message(e.error_number());
    }
    if (machine.confinement == ConfinementMode::strict) throw ConfinementError(confinement_gaps(true, obstacle));
    base::Child child = spawn_confined(command, machine, allowed, cgroup, false);
    spdlog::warn("QEMU runs without a part of its confinement: {}", confinement_gaps(true, obstacle));
    return child;
}

base::Child spawn_qemu(const Machine& machine, const Channels& channels, const base::UniqueFd& memory, StartMode mode,
                       const Cgroup& cgroup) {
    base::Command command;
    command.block_terminal_signals = true;
    command.own_group = machine.background;
    int number = 3;
    const auto pass = [&](const base::UniqueFd& fd) {
        command.fds.emplace_back(fd.get(), number);
        return number++;
    };
    InheritedFds fds{.agent = pass(channels.agent.second),
                     .qmp = pass(channels.qmp.second),
                     .console = pass(channels.console.second),
                     .memory = pass(memory),
                     .tsc_khz = machine.accelerator == Accelerator::tcg ? tsc_khz() : 0};
    std::list<base::UniqueFd> connections;  // open until QEMU has its own
    for (const Disk& disk : machine.disks)
        fds.disks.push_back(pass(disk.connect ? connections.emplace_back(disk.connect()) : disk.file));
    for (size_t i = 0; i < kCards; i++) {
        if (machine.cards[i]) fds.cards[i] = pass(machine.cards[i]->socket);
    }
    command.fds.emplace_back(channels.errors.second.get(), 2);
    command.argv = command_line(machine, fds, mode);
    command.argv.insert(command.argv.begin(), machine.qemu.file);
    spdlog::debug("{}", fmt::join(command.argv, " "));
    return spawn_confined(command, machine, files_of(machine), cgroup);
}

}  // namespace

class Qemu::State {
public:
    // `devices` are those of a saved VM to resume from; without them the VM boots.
    State(const asio::any_io_executor& executor, Cgroup cgroup, base::Child child, Channels channels, base::UniqueFd memory,
          base::UniqueFd devices)
        : executor_(executor),
          cgroup_(std::move(cgroup)),
          child_(std::move(child)),
          memory_(std::move(memory)),
          devices_(std::move(devices)),
          agent_(std::move(channels.agent.first)),
          exit_(executor, ::fcntl(child_.pidfd(), F_DUPFD_CLOEXEC, 0)),
          console_{.descriptor{executor, channels.console.first.release()}},
          errors_{.descriptor{executor, channels.errors.first.release()}},
          done_(executor),
          saved_(executor),
          qmp_socket_(std::move(channels.qmp.first)) {}

    static void run(const std::shared_ptr<State>& self) {
        auto take = [weak = std::weak_ptr(self)](const std::string& name, const nlohmann::json& data) {
            if (const auto state = weak.lock()) take_event(state, name, data);
        };
        self->qmp_ = std::make_unique<Qmp>(self->executor_, std::move(self->qmp_socket_), std::move(take));
        asio::co_spawn(self->executor_, connect(self), asio::detached);
        collect(self, self->console_);
        collect(self, self->errors_);
    }

    static asio::awaitable<ExitReason> ended(std::shared_ptr<State> self) {
        while (!self->exit_reason_)
            co_await self->done_.wait();
        co_return *self->exit_reason_;
    }

    static asio::awaitable<SavedVm> save(std::shared_ptr<State> self) {
        SavedVm saved;
        saved.devices = base::memory_file("devices");
        co_await leave_out_memory(self);
        nlohmann::json name{{"fdname", "devices"}};
        co_await self->qmp_->execute("getfd", std::move(name), saved.devices.get());
        nlohmann::json uri{{"uri", "fd:devices"}};
        co_await self->qmp_->execute("migrate", std::move(uri));
        while (self->migration_.empty() && !self->exit_reason_)
            co_await self->saved_.wait();
        if (self->migration_ != "completed") throw QmpError("QEMU: migrate: it has not completed");
        self->kill();
        saved.memory = std::move(self->memory_);
        co_return saved;
    }

    void kill() {
        killed_ = true;
        child_.kill(SIGKILL);
    }

    // A coroutine that awaits the end must not wait for ever.
    void close() {
        if (!exit_reason_) {
            kill();
            set_exit_reason(child_.wait());
        }
        qmp_.reset();
        console_.sink = nullptr;
        boost::system::error_code ignored;
        for (asio::posix::stream_descriptor* descriptor : {&exit_, &console_.descriptor, &errors_.descriptor})
            descriptor->close(ignored);
    }

    pid_t pid() const { return pid_; }
    bool restored() const { return devices_ && migration_ == "completed"; }
    base::UniqueFd take_agent_channel() { return std::move(agent_); }
    void watch_console(std::function<void(std::string_view)> sink) { console_.sink = std::move(sink); }

private:
    struct Stream {
        asio::posix::stream_descriptor descriptor;
        ConsoleTail text = {};
        std::array<char, 4096> block = {};
        std::function<void(std::string_view)> sink = {};
    };

    static asio::awaitable<void> connect(std::shared_ptr<State> self) {
        if (!self->qmp_) co_return;  // closed meanwhile
        try {
            co_await self->qmp_->connect();
            base::timings().mark("QEMU answers");
            if (self->devices_) co_await restore(self);
        } catch (const QmpError& e) {
            // QEMU has ended or is about to, and its exit reason says more. But a QEMU that waits for saved state would wait for ever.
            if (!self->devices_) co_return;
            self->restore_error_ = e.what();
            self->child_.kill(SIGKILL);
        }
    }

    // QEMU's memory is our memfd, so the stream holds only the devices.
    static asio::awaitable<void> leave_out_memory(std::shared_ptr<State> self) {
        const nlohmann::json events{{"capability", "events"}, {"state", true}};
        const nlohmann::json no_memory{{"capability", "x-ignore-shared"}, {"state", true}};
        nlohmann::json arguments{{"capabilities", nlohmann::json::array({events, no_memory})}};
        co_await self->qmp_->execute("migrate-set-capabilities", std::move(arguments));
    }

    static asio::awaitable<void> restore(std::shared_ptr<State> self) {
        co_await leave_out_memory(self);
        nlohmann::json name{{"fdname", "devices"}};
        co_await self->qmp_->execute("getfd", std::move(name), self->devices_.get());
        nlohmann::json uri{{"uri", "fd:devices"}};
        co_await self->qmp_->execute("migrate-incoming", std::move(uri));
    }

    static void take_event(const std::shared_ptr<State>& self, const std::string& name, const nlohmann::json& data) {
        if (name == "STOP") asio::co_spawn(self->executor_, check_status(self), asio::detached);
        if (name == "MIGRATION") self->take_migration(data.value("status", ""));
        if (name != "BLOCK_IO_ERROR") return;
        if (const auto line = self->disk_errors_.line(data, std::chrono::steady_clock::now())) spdlog::warn(*line);
    }

    void take_migration(const std::string& status) {
        if (status != "completed" && status != "failed") return;
        if (devices_) base::timings().mark("devices restored");
        migration_ = status;
        saved_.notify();
    }

    // We stop a VM only to save it, so this stop comes from KVM.
    static asio::awaitable<void> check_status(std::shared_ptr<State> self) {
        if (!self->qmp_) co_return;
        try {
            const nlohmann::json status = co_await self->qmp_->execute("query-status");
            if (status.value("status", "") != "internal-error") co_return;
            self->internal_error_ = true;
            self->kill();
        } catch (const std::exception&) {  // no connection, or an answer of the wrong form: the exit reason says more
        }
    }

    // Only QEMU holds the other ends of both streams, so their end is QEMU's end.
    static void collect(const std::shared_ptr<State>& self, Stream& stream) {
        stream.descriptor.async_read_some(asio::buffer(stream.block), [self, &stream](const boost::system::error_code& error, size_t size) {
            if (!error) {
                const std::string_view bytes(stream.block.data(), size);
                stream.text.append(bytes);
                if (stream.sink) stream.sink(base::printable_lines(bytes));
                collect(self, stream);
            } else if (--self->open_streams_ == 0) {
                wait_for_exit(self);
            }
        });
    }

    static void wait_for_exit(const std::shared_ptr<State>& self) {
        if (self->exit_reason_) return;
        self->exit_.async_wait(asio::posix::stream_descriptor::wait_read, [self](const boost::system::error_code&) {
            if (!self->exit_reason_) self->set_exit_reason(self->child_.wait());
        });
    }

    void set_exit_reason(int wait_status) {
        exit_reason_ = describe_exit(wait_status, console_.text.text(), errors_.text.text());
        if (!restore_error_.empty() && WIFSIGNALED(wait_status)) exit_reason_->reason = restore_error_;
        if (killed_) exit_reason_->reason = "the VM was stopped";
        if (internal_error_) exit_reason_->reason = "this host's KVM cannot run the VM's kernel (KVM internal error)";
        done_.notify();
        saved_.notify();
    }

    asio::any_io_executor executor_;
    Cgroup cgroup_;
    base::Child child_;
    pid_t pid_ = child_.pid();
    base::UniqueFd memory_;
    base::UniqueFd devices_;
    base::UniqueFd agent_;
    asio::posix::stream_descriptor exit_;
    Stream console_;  // the guest's
    Stream errors_;   // QEMU's own
    int open_streams_ = 2;
    base::Event done_;           // exit_reason_ was set
    base::Event saved_;          // migration_ was set, or QEMU has ended
    std::string migration_;      // its final status; empty until it is known
    std::string restore_error_;  // QMP's
    base::UniqueFd qmp_socket_;
    std::unique_ptr<Qmp> qmp_;
    DiskErrors disk_errors_;
    bool internal_error_ = false;
    bool killed_ = false;  // by us
    std::optional<ExitReason> exit_reason_;
};

Qemu::Qemu(std::shared_ptr<State> state) : state_(std::move(state)) {}

Qemu::~Qemu() {  // NOLINT(bugprone-exception-escape): waiting for a child of ours does not fail
    state_->close();
}

std::unique_ptr<Qemu> Qemu::start(const asio::any_io_executor& executor, Machine machine, const TemplateFile* origin) {
    const Machine held = std::move(machine);  // its descriptors are closed here once QEMU has them
    for (const auto& file : {held.kernel, held.initramfs})
        (void)base::open_file(file, O_RDONLY);
    if (!origin && !held.cpu.empty()) check_cpu_model(held.qemu, held.cpu);
    Channels channels;
    base::UniqueFd memory = make_memory(held.memory_bytes);
    base::UniqueFd devices = origin ? origin->devices() : base::UniqueFd();
    Cgroup cgroup(limits_of(held));
    base::Child child = spawn_qemu(held, channels, memory, origin ? StartMode::restore : StartMode::boot, cgroup);
    base::timings().mark("QEMU spawned");
    // In parallel with QEMU, which starts up until it is told to resume.
    if (origin) {
        origin->fill(memory.get());
        base::timings().mark("memory copied");
    }
    auto state =
        std::make_shared<State>(executor, std::move(cgroup), std::move(child), std::move(channels), std::move(memory), std::move(devices));
    State::run(state);
    return std::unique_ptr<Qemu>(new Qemu(std::move(state)));
}

void Qemu::watch_console(std::function<void(std::string_view)> sink) {
    state_->watch_console(std::move(sink));
}

base::UniqueFd Qemu::take_agent_channel() {
    return state_->take_agent_channel();
}

pid_t Qemu::pid() const {
    return state_->pid();
}

bool Qemu::restored() const {
    return state_->restored();
}

asio::awaitable<SavedVm> Qemu::save() {
    return State::save(state_);
}

asio::awaitable<ExitReason> Qemu::ended() {
    return State::ended(state_);
}

void Qemu::kill() {
    state_->kill();
}

}  // namespace vm
