#include "init/setup.h"

#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <ctime>

#include "init/disks.h"
#include "init/drivers.h"
#include "init/environment.h"
#include "init/etc_files.h"
#include "init/mounts.h"
#include "init/network.h"
#include "init/path.h"
#include "init/root.h"
#include "init/volumes.h"

namespace init {
namespace {

// Credits the host's random bytes and makes the generator use them at once: VMs restored from one template share its state.
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

Status make_tmp(int root) {
    const Result<base::UniqueFd> directory = make_directory(root, "/tmp");
    if (!directory.ok()) return directory.status;
    const Opened tmp = open_inside(root, "/tmp", O_RDONLY | O_DIRECTORY);
    if (!tmp.fd || ::fchmod(tmp.fd.get(), 01777) < 0) return failure(errno, {"cannot open /tmp for everybody"});
    return {};
}

// Notes where the time goes.
class Stopwatch {
public:
    explicit Stopwatch(std::vector<agent::Step>& steps) : steps_(steps) {}

    // Everything done since the previous step.
    void lap(const char* what) {
        const auto now = std::chrono::steady_clock::now();
        agent::Step& step = steps_.emplace_back();
        step.set_what(what);
        step.set_microseconds(static_cast<uint32_t>((now - last_) / std::chrono::microseconds(1)));
        last_ = now;
    }

private:
    std::vector<agent::Step>& steps_;
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

container::UserLookup find_user_inside(int root, const std::string& user) {
    return container::find_user(user, read_inside(root, "etc/passwd", container::kMaxUserFile),
                                read_inside(root, "etc/group", container::kMaxUserFile));
}

// Mounts all that belongs into the new root.
Result<container::Identity> furnish(int root, const agent::Setup& setup, Stopwatch& watch, SetupResult& result) {
    std::vector<std::string>& problems = result.problems;
    container::UserLookup user = find_user_inside(root, setup.user());
    if (!user.error.empty()) return bad_request({"the image's User \"", setup.user(), "\": its ", user.error});
    Volumes volumes(root, setup, user.identity);
    watch.lap("user looked up");
    if (Status status = mount_system(root); !status.ok()) return status;
    watch.lap("/proc, /sys and /dev mounted");
    if (const Status status = make_nvidia_nodes(root); !status.ok()) problems.push_back(status.text);
    if (const Status status = make_tmp(root); !status.ok()) problems.push_back(status.text);
    if (Status status = volumes.mount(root); !status.ok()) return status;
    for (const agent::Volume& volume : setup.volumes())
        result.made.volumes.push_back(volume.path());
    watch.lap("volumes mounted");
    for (std::string& problem : write_etc_files(root, setup.hostname(), result.made.files))
        problems.push_back(std::move(problem));
    watch.lap("/etc written");
    return std::move(user.identity);
}

}  // namespace

container::UserLookup find_user_in_root(const std::string& user) {
    const base::UniqueFd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    return find_user_inside(root.get(), user);
}

Result<SetupResult> set_up(const agent::Setup& setup) {
    SetupResult result;
    Stopwatch watch(result.steps);
    if (Status status = add_seed(setup.seed()); !status.ok()) return status;
    if (Status status = set_clock(setup.wall_clock_ns()); !status.ok()) return status;
    if (::sethostname(setup.hostname().data(), setup.hostname().size()) < 0)
        return failure(errno, {"cannot set the hostname \"", setup.hostname(), "\""});
    watch.lap("random numbers and clock");

    const Result<base::UniqueFd> root = make_root(setup);
    if (!root.ok()) return root.status;
    watch.lap("root mounted");
    result.problems = load_modules();
    if (setup.root_case() == agent::Setup::kRootRam) {
        if (Status status = remove_placeholder_disk(); !status.ok()) return status;
    }
    Result<container::Identity> user = furnish(root.value.get(), setup, watch, result);
    if (!user.ok()) return user.status;
    if (Status status = name_cards(setup.cards()); !status.ok()) return status;
    watch.lap("network cards named");
    result.initramfs.reset(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!result.initramfs) return failure(errno, {"cannot keep the initramfs"});
    if (Status status = switch_root(root.value.get()); !status.ok()) return status;

    ProcessDefaults& defaults = result.defaults;
    defaults.environment = environment(setup.env(), user.value.home, setup.hostname());
    defaults.own_home = !value_of({setup.env().begin(), setup.env().end()}, "HOME").empty();
    defaults.work_dir = setup.working_dir().empty() ? "/" : setup.working_dir();
    defaults.user = std::move(user.value);
    return result;
}

}  // namespace init
