#include "init/agent_loop.h"

#include <cpuid.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "init/builtins.h"
#include "init/environment.h"
#include "init/etc_files.h"
#include "init/network.h"
#include "init/output.h"
#include "init/path.h"

namespace init {
namespace {

enum Token : uint64_t { kPort, kSignals, kKernelLog, kTimer };
static_assert(kTimer < Processes::kFirstToken);

base::UniqueFd child_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    (void)::sigprocmask(SIG_BLOCK, &set, nullptr);
    return base::UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

bool valid_size(const agent::Terminal& size) {
    const auto valid = [](uint32_t n) { return n >= 1 && n <= UINT16_MAX; };
    return valid(size.rows()) && valid(size.columns());
}

void read_cpu_features(agent::CpuFeatures& features) {
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0) {
        features.set_leaf1_ecx(ecx);
        features.set_leaf1_edx(edx);
    }
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0) {
        features.set_leaf7_ebx(ebx);
        features.set_leaf7_ecx(ecx);
    }
}

}  // namespace

AgentLoop::AgentLoop()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), signals_(child_signals()), memory_(port_), processes_(epoll_.get(), port_, memory_) {
    if (!epoll_ || !signals_) fatal("cannot make an epoll or signal descriptor");
    // Edge-triggered: while the host's end is closed, the port reports a hang-up all the time, about which nothing can be done.
    watch(port_.fd(), kPort, EPOLLIN | EPOLLOUT | EPOLLET);
    watch(signals_.get(), kSignals, EPOLLIN);
    watch(memory_.fd(), kKernelLog, EPOLLIN | EPOLLET);
}

void AgentLoop::watch(int fd, uint64_t token, uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = token;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) < 0) fatal(cat({"epoll: ", ::strerrordesc_np(errno)}));
}

void AgentLoop::run() {
    agent::Message message;
    message.mutable_ready()->set_version(agent::kProtocolVersion);
    message.mutable_ready()->set_timer(read_line("/sys/devices/system/clockevents/clockevent0/current_device"));
    read_cpu_features(*message.mutable_ready()->mutable_cpu());
    port_.send(message);
    bool busy = false;
    for (;;) {
        epoll_event events[64];
        const int count = ::epoll_wait(epoll_.get(), events, 64, busy ? 0 : -1);
        if (count < 0 && errno != EINTR) fatal(cat({"epoll: ", ::strerrordesc_np(errno)}));
        for (int i = 0; i < count; i++)
            handle(events[i].data.u64, events[i].events);
        busy = processes_.pump();
    }
}

void AgentLoop::handle(uint64_t token, uint32_t events) {
    switch (token) {
        case kPort:
            if (events & EPOLLOUT) port_.flush();
            if (events & (EPOLLIN | EPOLLHUP)) port_.receive([this](const agent::Request& request) { take(request); });
            break;
        case kSignals:
            children_ended();
            break;
        case kKernelLog:
            memory_.read();
            break;
        case kTimer:
            if (shutdown_ && shutdown_->timeout()) answer(port_, shutdown_id_, {});
            break;
        default:
            processes_.ready(token);
    }
}

void AgentLoop::take(const agent::Request& request) {
    const uint64_t id = request.id();
    switch (request.command_case()) {
        case agent::Request::kSetup:
            return take_setup(id, request.setup());
        case agent::Request::kExec:
            return take_exec(id, request.exec());
        case agent::Request::kKill:
            return answer(port_, id, processes_.kill(request.kill().process(), request.kill().signal()));
        case agent::Request::kCredit:
            return processes_.grant(request.credit());
        case agent::Request::kInput:
            return processes_.take(request.input());
        case agent::Request::kResize:
            if (valid_size(request.resize().terminal())) processes_.resize(request.resize());
            return;
        case agent::Request::kNetwork: {
            if (!defaults_) return answer(port_, id, bad_request({"the VM has not been set up"}));
            Status status = configure_card(request.network());
            if (status.ok()) status = add_hosts({request.network().hosts().begin(), request.network().hosts().end()}, made_.files);
            return answer(port_, id, status);
        }
        case agent::Request::kCountTraffic: {
            agent::Reply reply;
            *reply.mutable_traffic() = count_traffic();
            return answer(port_, id, {}, std::move(reply));
        }
        case agent::Request::kShutdown:
            return shut_down(id, request.shutdown().grace_ms());
        default:
            return answer(port_, id, bad_request({"an unknown command"}));
    }
}

void AgentLoop::take_setup(uint64_t id, const agent::Setup& setup) {
    if (defaults_) return answer(port_, id, bad_request({"the VM has been set up already"}));
    Result<SetupResult> result = set_up(setup);
    agent::Reply reply;
    reply.mutable_steps()->Assign(result.value.steps.begin(), result.value.steps.end());
    if (result.ok()) {
        defaults_ = std::move(result.value.defaults);
        initramfs_ = std::move(result.value.initramfs);
        made_ = std::move(result.value.made);
        reply.mutable_user()->set_uid(defaults_->user.uid);
        reply.mutable_user()->set_gid(defaults_->user.gid);
    }
    for (const std::string& problem : result.value.problems)
        log(port_, problem);
    answer(port_, id, result.status, std::move(reply));
}

void AgentLoop::take_exec(uint64_t id, const agent::Exec& exec) {
    if (!defaults_) return answer(port_, id, bad_request({"the VM has not been set up"}));
    if (shutdown_) return answer(port_, id, bad_request({"the VM is shutting down"}));
    if (exec.builtin() != agent::NO_BUILTIN) return start_builtin(id, exec);
    if (exec.bin().empty()) return answer(port_, id, bad_request({"there is no program to run"}));
    const auto cut_short = [](const std::string& text) { return text.find('\0') != std::string::npos; };
    if (cut_short(exec.bin()) || cut_short(exec.work_dir()) || std::any_of(exec.args().begin(), exec.args().end(), cut_short) ||
        std::any_of(exec.env().begin(), exec.env().end(), cut_short))
        return answer(port_, id, bad_request({"a path or an argument has a zero byte in it"}));
    Program program;
    program.name = exec.bin();
    program.args.assign(exec.args().begin(), exec.args().end());
    if (program.args.empty()) program.args = {exec.bin()};  // programs rely on an argv[0]
    program.environment = &defaults_->environment;
    program.work_dir = exec.work_dir().empty() ? defaults_->work_dir : exec.work_dir();
    program.user = &defaults_->user;
    program.input = exec.input();
    if (exec.has_terminal()) {
        if (!valid_size(exec.terminal())) return answer(port_, id, bad_request({"a terminal has 1 to 65535 rows and columns"}));
        program.terminal = exec.terminal();
    }
    if (const Status status = personalize(exec, program); !status.ok()) return answer(port_, id, status);
    program.candidates = candidates(exec.bin(), value_of(*program.environment, "PATH"));
    processes_.start(id, exec, std::move(program));
}

// The user and environment that the request names instead of the image's.
Status AgentLoop::personalize(const agent::Exec& exec, Program& program) const {
    if (!exec.user().empty()) {
        container::UserLookup user = find_user_in_root(exec.user());
        if (!user.error.empty()) return bad_request({"the user \"", exec.user(), "\": its ", user.error});
        program.own_user = std::make_shared<container::Identity>(std::move(user.identity));
        program.user = program.own_user.get();
    }
    if (exec.user().empty() && exec.env().empty()) return {};
    std::vector<std::string> changed = defaults_->environment;
    if (program.own_user && !defaults_->own_home) changed.push_back(cat({"HOME=", program.own_user->home}));
    changed.insert(changed.end(), exec.env().begin(), exec.env().end());
    program.own_environment = std::make_shared<std::vector<std::string>>(last_of_each(changed));
    program.environment = program.own_environment.get();
    return {};
}

void AgentLoop::start_builtin(uint64_t id, const agent::Exec& exec) {
    static const std::vector<std::string> kNoEnvironment;
    static const container::Identity kRoot;
    const Builtin* const builtin = find_builtin(exec.builtin());
    if (builtin == nullptr || exec.args_size() != builtin->arguments) return answer(port_, id, bad_request({"an unknown part of init"}));
    Program program;
    program.name = builtin->name;
    program.candidates = {"/proc/self/exe"};
    program.args = {builtin->name};
    program.args.insert(program.args.end(), exec.args().begin(), exec.args().end());
    program.environment = &kNoEnvironment;
    program.work_dir = "/";
    program.user = &kRoot;
    program.input = builtin->input;
    if (exec.builtin() == agent::CHANGES) {
        Result<base::UniqueFd> made = file_of(made_);
        if (!made.ok()) return answer(port_, id, made.status);
        program.kept.emplace_back(::fcntl(initramfs_.get(), F_DUPFD_CLOEXEC, 3));
        program.kept.push_back(std::move(made.value));
        for (const base::UniqueFd& fd : program.kept)
            program.args.push_back(std::to_string(fd.get()));
    }
    processes_.start(id, exec, std::move(program));
}

void AgentLoop::children_ended() {
    signalfd_siginfo info[16];
    while (::read(signals_.get(), info, sizeof info) > 0) {
    }
    const bool children_left = processes_.reap();
    if (shutdown_ && shutdown_->reaped(children_left)) answer(port_, shutdown_id_, {});
}

void AgentLoop::shut_down(uint64_t id, unsigned grace_ms) {
    if (shutdown_) return answer(port_, id, bad_request({"the VM is shutting down already"}));
    shutdown_id_ = id;
    shutdown_.emplace(grace_ms);
    watch(shutdown_->timer_fd(), kTimer, EPOLLIN);
    if (shutdown_->reaped(processes_.reap())) answer(port_, id, {});
}

}  // namespace init
