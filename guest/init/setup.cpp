#include "init/setup.h"

#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "init/disks.h"
#include "init/environment.h"
#include "init/etc_files.h"
#include "init/mounts.h"
#include "init/network.h"
#include "init/path.h"
#include "init/root.h"
#include "init/volumes.h"

namespace init {
namespace {

constexpr size_t kMaxUserFile = 16 << 20;

// Credits the host's random bytes and has the generator take them up at once: VMs that were restored from one template share its state.
Status add_seed(const std::string& seed) {
    constexpr size_t kSmallest = 32;
    constexpr size_t kLargest = 512;
    if (seed.size() < kSmallest || seed.size() > kLargest) return bad_request({"the seed has 32 to 512 bytes"});
    alignas(rand_pool_info) char storage[sizeof(rand_pool_info) + kLargest] = {};
    auto* const pool = reinterpret_cast<rand_pool_info*>(storage);
    pool->entropy_count = static_cast<int>(8 * seed.size());
    pool->buf_size = static_cast<int>(seed.size());
    (void)seed.copy(storage + sizeof(rand_pool_info), kLargest);
    const base::UniqueFd random(::open("/dev/urandom", O_RDWR | O_CLOEXEC));
    if (!random || ::ioctl(random.get(), RNDADDENTROPY, pool) < 0 || ::ioctl(random.get(), RNDRESEEDCRNG) < 0)
        return failure(errno, {"cannot seed the random number generator"});
    return {};
}

Status set_clock(int64_t nanoseconds) {
    constexpr int64_t kSecond = 1'000'000'000;
    const timespec now{nanoseconds / kSecond, nanoseconds % kSecond};
    if (::clock_settime(CLOCK_REALTIME, &now) < 0) return failure(errno, {"cannot set the clock"});
    return {};
}

void set_kernel_limits() {
    // As Docker sets them in a container: ping without privileges, and ports below 1024 for everybody.
    (void)write_value("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
    (void)write_value("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    // A line for each process at each kill for want of memory would take longer than the kill.
    (void)write_value("/proc/sys/vm/oom_dump_tasks", "0");
}

Status make_tmp(int root) {
    const Result<base::UniqueFd> directory = make_directory(root, "/tmp");
    if (!directory.ok()) return directory.status;
    const Opened tmp = open_inside(root, "/tmp", O_RDONLY | O_DIRECTORY);
    if (!tmp.fd || ::fchmod(tmp.fd.get(), 01777) < 0) return failure(errno, {"cannot open /tmp for everybody"});
    return {};
}

// Mounts all that belongs into the new root.
Result<Identity> furnish(int root, const agent::Setup& setup, std::vector<std::string>& problems) {
    Result<Identity> user =
        find_user(setup.user(), read_inside(root, "etc/passwd", kMaxUserFile), read_inside(root, "etc/group", kMaxUserFile));
    if (!user.ok()) return user;
    Volumes volumes(root, setup, user.value);
    if (Status status = mount_system(root); !status.ok()) return status;
    if (const Status status = make_tmp(root); !status.ok()) problems.push_back(status.text);
    if (Status status = volumes.mount(root); !status.ok()) return status;
    for (std::string& problem : write_etc_files(root, setup.hostname()))
        problems.push_back(std::move(problem));
    return user;
}

}  // namespace

Result<Made> set_up(const agent::Setup& setup) {
    if (Status status = add_seed(setup.seed()); !status.ok()) return status;
    if (Status status = set_clock(setup.wall_clock_ns()); !status.ok()) return status;
    if (::sethostname(setup.hostname().data(), setup.hostname().size()) < 0)
        return failure(errno, {"cannot set the hostname \"", setup.hostname(), "\""});
    if (Status status = bind_slots(); !status.ok()) return status;
    set_kernel_limits();

    const Result<base::UniqueFd> root = make_root(setup);
    if (!root.ok()) return root.status;
    Made made;
    Result<Identity> user = furnish(root.value.get(), setup, made.problems);
    if (!user.ok()) return user.status;
    if (Status status = name_cards(setup.cards()); !status.ok()) return status;
    if (Status status = switch_root(root.value.get()); !status.ok()) return status;

    Ground& ground = made.ground;
    ground.environment = environment(setup.env(), user.value.home, setup.hostname());
    ground.path = value_of(ground.environment, "PATH");
    ground.work_dir = setup.working_dir().empty() ? "/" : setup.working_dir();
    ground.user = std::move(user.value);
    return made;
}

}  // namespace init
