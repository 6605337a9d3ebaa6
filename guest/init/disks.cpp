#include "init/disks.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <vector>

#include "base/fd.h"
#include "init/path.h"

namespace init {
namespace {

constexpr const char* kDevices = "/sys/bus/platform/devices";
constexpr const char* kBind = "/sys/bus/platform/drivers/virtio-mmio/bind";
constexpr std::chrono::seconds kDiskDeadline{5};

// SCSI reports it in a vital product data page: 4 bytes of header, then the serial.
std::string scsi_serial(const std::string& block) {
    const base::UniqueFd fd(::open(cat({"/sys/block/", block, "/device/vpd_pg80"}).c_str(), O_RDONLY | O_CLOEXEC));
    char page[256];
    const ssize_t size = fd ? ::read(fd.get(), page, sizeof page) : -1;
    return size > 4 ? std::string(page + 4, static_cast<size_t>(size) - 4) : "";
}

std::string device_node(const std::string& serial) {
    for (const std::string& block : names_in("/sys/block")) {
        if (read_line(cat({"/sys/block/", block, "/serial"})) == serial || scsi_serial(block) == serial) return cat({"/dev/", block});
    }
    return "";
}

// A socket that becomes readable with each device that the kernel adds.
base::UniqueFd device_events() {
    base::UniqueFd fd(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = 1;
    if (fd && ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) fd.reset();
    return fd;
}

}  // namespace

Status bind_slots() {
    std::vector<std::string> slots = names_in(kDevices);
    std::sort(slots.begin(), slots.end());  // so that the kernel names their disks in this order
    for (const std::string& name : slots) {
        if (!name.starts_with("virtio-mmio")) continue;
        struct stat st {};
        if (::stat(cat({kDevices, "/", name, "/driver"}).c_str(), &st) == 0) continue;
        const int error = write_value(kBind, name);
        if (error != 0 && error != ENODEV) return failure(error, {"cannot bind ", name});
    }
    return {};
}

Result<std::string> find_disk(const std::string& serial) {
    using Clock = std::chrono::steady_clock;
    std::string node = device_node(serial);
    if (!node.empty()) return node;
    // A restored VM may have devices that the saved VM lacked.
    if (Status status = bind_slots(); !status.ok()) return status;
    const base::UniqueFd events = device_events();  // before the second look, so that no event between look and wait is missed
    const Clock::time_point deadline = Clock::now() + kDiskDeadline;
    for (;;) {
        node = device_node(serial);
        if (!node.empty()) return node;
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        pollfd waiting{events.get(), POLLIN, 0};
        if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) <= 0)
            return failure({"there is no disk with the serial \"", serial, "\""});
        char event[4096];
        (void)!::recv(events.get(), event, sizeof event, MSG_DONTWAIT);
    }
}

Status unbind(const std::string& driver, const std::string& device) {
    char target[256];
    const ssize_t size = ::readlink(device.c_str(), target, sizeof target);
    const std::string_view path(target, size < 0 ? 0 : static_cast<size_t>(size));
    const std::string_view name = path.substr(path.rfind('/') + 1);
    if (const int error = write_value(cat({"/sys/bus/virtio/drivers/", driver, "/unbind"}).c_str(), std::string(name)); error != 0)
        return failure(error, {"cannot unbind ", device});
    return {};
}

Status remove_placeholder_disk() {
    const std::string node = device_node("no-disk");
    if (node.empty()) return {};
    return unbind("virtio_blk", cat({"/sys/block/", node.substr(sizeof "/dev/" - 1), "/device"}));
}

}  // namespace init
