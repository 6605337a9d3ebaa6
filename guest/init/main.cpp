#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <new>

#include "init/agent_loop.h"
#include "init/builtins.h"
#include "init/disks.h"
#include "init/mounts.h"
#include "init/network.h"
#include "init/path.h"

namespace {

// 0 is /dev/null, which processes inherit as their stdin; 1 and 2 are the console where the kernel could open it. None of our own
// descriptors may get these numbers.
void open_standard_descriptors() {
    const int null = ::open("/dev/null", O_RDONLY);
    for (int fd = 0; fd < 3; fd++) {
        if (fd == 0 || ::fcntl(fd, F_GETFD) < 0) (void)::dup2(null, fd);
    }
    if (null > 2) ::close(null);
}

void set_kernel_limits() {
    // As Docker sets them in a container: ping without privileges, and ports below 1024 for all users.
    (void)init::write_value("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
    (void)init::write_value("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    // Logging every process at each OOM kill would take longer than the kill.
    (void)init::write_value("/proc/sys/vm/oom_dump_tasks", "0");
    // Memory used within the last second is not reclaimed; if there is no other, the OOM killer acts. Without this setting the kernel drops
    // and rereads the pages of running programs, for minutes.
    (void)init::write_value("/sys/kernel/mm/lru_gen/min_ttl_ms", "1000");
    // Needless wake-ups of an idle VM: updating counters each second, and looking twice a second whether memory could be compacted in
    // advance.
    (void)init::write_value("/proc/sys/vm/stat_interval", "10");
    (void)init::write_value("/proc/sys/vm/compaction_proactiveness", "0");
}

// What processes inherit from us, and what they must not inherit.
void set_limits() {
    ::umask(022);
    const rlimit files{1 << 20, 1 << 20};  // two pipes stay open for each command that left something running
    (void)::setrlimit(RLIMIT_NOFILE, &files);
    // However busy the VM is, the host is served. A process gets normal priority when it starts.
    (void)::setpriority(PRIO_PROCESS, 0, -20);
    // A program that calls reboot(2) would end the VM. We keep the capability ourselves: this set takes effect only at an exec.
    (void)::prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT, 0, 0, 0);
}

}  // namespace

// Up to Ready nothing depends on the image: a VM that is saved then serves every image.
int main(int argc, char** argv) {
    if (::getpid() != 1) return init::run_builtin(argc, argv);
    std::set_terminate([] { init::fatal("terminated"); });
    std::set_new_handler([] { init::fatal("out of memory"); });
    if (const init::Status status = init::mount_early(); !status.ok()) init::fatal(status.text);
    init::open_console();
    open_standard_descriptors();
    set_limits();
    if (const init::Status status = init::bind_slots(); !status.ok()) init::fatal(status.text);
    if (const init::Status status = init::prepare_cards(); !status.ok()) init::fatal(status.text);
    set_kernel_limits();
    init::AgentLoop().run();
}
