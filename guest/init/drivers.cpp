#include "init/drivers.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "init/path.h"

namespace init {
namespace {

constexpr const char* kPciDevices = "/sys/bus/pci/devices";
constexpr int kDeepest = 8;  // folders below lib/modules/VERSION

// Adds the modules in a folder, and of `depth` levels below it.
void find_modules(const std::string& folder, int depth, std::vector<std::string>& found) {
    for (const std::string& name : names_in(folder)) {
        const std::string path = cat({folder, "/", name});
        struct stat st {};
        if (::lstat(path.c_str(), &st) < 0) continue;
        if (S_ISREG(st.st_mode) && name.ends_with(".ko")) found.push_back(path);
        if (S_ISDIR(st.st_mode) && depth > 0) find_modules(path, depth - 1, found);
    }
}

// 0 or an errno.
int load(const std::string& path) {
    const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd || ::syscall(SYS_finit_module, fd.get(), "", 0) < 0) return errno == EEXIST ? 0 : errno;
    return 0;
}

// The number of a character device's driver; 0: there is none.
unsigned major_of(std::string_view devices, std::string_view driver) {
    for (std::string_view left = devices.substr(0, devices.find("Block devices:")); !left.empty();) {
        std::string_view line = left.substr(0, left.find('\n'));
        left.remove_prefix(std::min(left.size(), line.size() + 1));
        line.remove_prefix(std::min(line.size(), line.find_first_not_of(' ')));
        unsigned number = 0;
        const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
        if (error == std::errc{} && line.substr(static_cast<size_t>(end - line.data())) == cat({" ", driver})) return number;
    }
    return 0;
}

unsigned count_nvidia_gpus() {
    unsigned count = 0;
    for (const std::string& name : names_in(kPciDevices)) {
        const std::string device = cat({kPciDevices, "/", name});
        if (read_line(cat({device, "/vendor"})) == "0x10de" && read_line(cat({device, "/class"})).starts_with("0x03")) count++;
    }
    return count;
}

}  // namespace

std::vector<std::string> load_modules() {
    std::vector<std::string> problems;
    if (names_in(kPciDevices).empty()) return problems;
    utsname kernel{};
    (void)::uname(&kernel);
    std::vector<std::string> waiting;
    for (const std::string folder : {"", kDriverFolder}) {
        find_modules(folder.empty() ? "/" : folder, 0, waiting);
        find_modules(cat({folder, "/lib/modules/", kernel.release}), kDeepest, waiting);
    }
    // A module that needs another's symbols is refused with ENOENT until that one is loaded.
    for (bool progress = true; progress && !waiting.empty();) {
        progress = false;
        std::vector<std::string> later;
        for (std::string& path : waiting) {
            const int error = load(path);
            if (error == ENOENT) {
                later.push_back(std::move(path));
                continue;
            }
            progress = true;
            if (error != 0) problems.push_back(failure(error, {"cannot load the kernel module ", path}).text);
        }
        waiting = std::move(later);
    }
    for (const std::string& path : waiting)
        problems.push_back(cat({"cannot load the kernel module ", path, ": it needs symbols that are not there"}));
    return problems;
}

std::vector<Node> nvidia_nodes(std::string_view devices, unsigned gpus) {
    constexpr unsigned kControl = 255;
    std::vector<Node> nodes;
    unsigned major = 0;
    for (const char* name : {"nvidia-frontend", "nvidia", "nvidiactl"}) {  // of older and newer drivers
        if (major == 0) major = major_of(devices, name);
    }
    if (major != 0) {
        for (unsigned i = 0; i < gpus && i < kControl; i++)
            nodes.push_back({cat({"nvidia", std::to_string(i)}), major, i});
        nodes.push_back({"nvidiactl", major, kControl});
    }
    if (const unsigned memory = major_of(devices, "nvidia-uvm"); memory != 0) nodes.push_back({"nvidia-uvm", memory, 0});
    return nodes;
}

Status make_nvidia_nodes(int root) {
    const unsigned gpus = count_nvidia_gpus();
    if (gpus == 0) return {};
    for (const Node& node : nvidia_nodes(read_text("/proc/devices"), gpus)) {
        const std::string path = cat({"dev/", node.name});
        const bool made = ::mknodat(root, path.c_str(), S_IFCHR, makedev(node.major, node.minor)) == 0 || errno == EEXIST;
        if (!made || ::fchmodat(root, path.c_str(), 0666, 0) < 0) return failure(errno, {"cannot make /dev/", node.name});
    }
    return {};
}

}  // namespace init
