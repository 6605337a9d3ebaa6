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
#include "init/disks.h"
#include "init/mounts.h"
#include "init/network.h"
#include "init/path.h"

namespace {

// 0 is /dev/null, which processes inherit as their stdin; 1 and 2 are the console where the kernel could open it. In any case no descriptor
// of ours gets such a number.
void open_standard_descriptors() {
    const int null = ::open("/dev/null", O_RDONLY);
    for (int fd = 0; fd < 3; fd++) {
        if (fd == 0 || ::fcntl(fd, F_GETFD) < 0) (void)::dup2(null, fd);
    }
    if (null > 2) ::close(null);
}

void set_kernel_limits() {
    // As Docker sets them in a container: ping without privileges, and ports below 1024 for everybody.
    (void)init::write_value("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
    (void)init::write_value("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    // A line for each process at each kill for want of memory would take longer than the kill.
    (void)init::write_value("/proc/sys/vm/oom_dump_tasks", "0");
    // Memory that was used within the last second is not reclaimed; where that is all there is, a process is killed. Without it the kernel
    // frees and reads again the pages of running programs, for minutes.
    (void)init::write_value("/sys/kernel/mm/lru_gen/min_ttl_ms", "1000");
    // What wakes an idle VM for nothing: counters are brought up to date each second, and twice a second the kernel looks whether memory
    // could be compacted before anybody needs it.
    (void)init::write_value("/proc/sys/vm/stat_interval", "10");
    (void)init::write_value("/proc/sys/vm/compaction_proactiveness", "0");
}

// What processes inherit from us, and what they must not.
void set_limits() {
    ::umask(022);
    const rlimit files{1 << 20, 1 << 20};  // two pipes stay open for each command that left something running
    (void)::setrlimit(RLIMIT_NOFILE, &files);
    // However busy the VM is, the host is served; a process gets an ordinary priority when it starts.
    (void)::setpriority(PRIO_PROCESS, 0, -20);
    // A program that calls reboot(2) would end the VM. We ourselves keep the capability: this set counts at an exec only.
    (void)::prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT, 0, 0, 0);
}

}  // namespace

// Up to Ready nothing depends on the image: a VM that is saved then serves every image.
int main() {
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
