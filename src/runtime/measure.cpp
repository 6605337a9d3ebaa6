#include "runtime/measure.h"

#include <unistd.h>

#include <ctime>
#include <fstream>
#include <string>

#include "runtime/counters.h"

namespace runtime {
namespace {

uint64_t cpu_time_ns(pid_t pid) {
    clockid_t clock{};
    timespec used{};
    if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &used) != 0) return 0;
    return static_cast<uint64_t>(used.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(used.tv_nsec);
}

uint64_t resident_bytes(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
    uint64_t size = 0;
    uint64_t resident = 0;
    file >> size >> resident;
    return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

boost::asio::awaitable<debug::Figures> measure(Session& session, const Options& options) {
    const agent::Traffic traffic = co_await ask_traffic(session.guest());
    const pid_t qemu = session.sandbox().guest->pid();
    debug::Figures figures;
    figures.set_cpu_ns(cpu_time_ns(qemu));
    figures.set_cores(options.cores);
    figures.set_memory_bytes(resident_bytes(qemu));
    figures.set_memory_limit_bytes(options.memory_bytes);
    figures.set_disk_bytes(session.storage_used());
    figures.set_received_bytes(traffic.received());
    figures.set_sent_bytes(traffic.sent());
    figures.set_processes(static_cast<uint32_t>(session.processes()));
    co_return figures;
}

}  // namespace runtime
