#include "init/etc_files.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "init/path.h"

namespace init {
namespace {

constexpr const char* kHosts =
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n";
// The only name servers that the supervisor's filter lets through (docs/spec/exe-unit.md, Networking).
constexpr const char* kMounts = "/proc/mounts";
constexpr const char* kNameServers = "nameserver 1.1.1.1\nnameserver 8.8.8.8\n";

Status replace(int directory, const char* name, std::string_view text) {
    (void)::unlinkat(directory, name, 0);
    const base::UniqueFd fd(::openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (!fd) return failure(errno, {"cannot make /etc/", name});
    if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) || ::fchmod(fd.get(), 0644) < 0)
        return failure(errno, {"cannot write /etc/", name});
    return {};
}

bool is_address(const std::string& text) {
    char address[sizeof(in6_addr)];
    return ::inet_pton(AF_INET, text.c_str(), address) == 1 || ::inet_pton(AF_INET6, text.c_str(), address) == 1;
}

bool is_name(const std::string& text) {
    const auto fits = [](unsigned char c) { return c > ' ' && c != '#' && c != 0x7f; };
    return !text.empty() && text.size() <= 255 && std::all_of(text.begin(), text.end(), fits);
}

}  // namespace

std::vector<std::string> write_etc_files(int root, const std::string& hostname, std::map<std::string, std::string>& files) {
    const Result<base::UniqueFd> etc = make_directory(root, "/etc");
    if (!etc.ok()) return {etc.status.text};
    std::vector<std::string> problems;
    const auto put = [&](const char* name, std::string_view text) {
        const Status status = replace(etc.value.get(), name, text);
        if (status.ok())
            files[name] = text;
        else
            problems.push_back(status.text);
    };
    put("hosts", cat({kHosts, "127.0.1.1\t", hostname, "\n"}));
    put("hostname", cat({hostname, "\n"}));
    put("resolv.conf", kNameServers);
    // Only where the image has none, as in Docker.
    if (::symlinkat(kMounts, etc.value.get(), "mtab") == 0)
        files["mtab"] = kMounts;
    else if (errno != EEXIST)
        problems.push_back(failure(errno, {"cannot make /etc/mtab"}).text);
    return problems;
}

Status add_hosts(const std::map<std::string, std::string>& hosts, std::map<std::string, std::string>& files) {
    if (hosts.empty()) return {};
    std::string lines;
    for (const auto& [name, address] : hosts) {
        if (!is_address(address)) return bad_request({"the host name ", name, " has a bad address: ", address});
        if (!is_name(name)) return bad_request({"not a host name: \"", name, "\""});
        lines += cat({address, "\t", name, "\n"});
    }
    // A process in the VM may have replaced it with anything.
    const base::UniqueFd fd(::open("/etc/hosts", O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644));
    struct stat st {};
    if (!fd) return failure(errno, {"cannot open /etc/hosts"});
    if (::fstat(fd.get(), &st) < 0 || !S_ISREG(st.st_mode)) return failure({"/etc/hosts is not a file any more"});
    if (::write(fd.get(), lines.data(), lines.size()) != static_cast<ssize_t>(lines.size()))
        return failure(errno, {"cannot write /etc/hosts"});
    files["hosts"] += lines;
    return {};
}

}  // namespace init
