#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/socket.h>

#include <csignal>
#include <iostream>
#include <memory>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "base/size.h"
#include "cli/gvmi_commands.h"
#include "cli/sdk_lines.h"
#include "registry/server/http.h"
#include "registry/server/serve_files.h"

namespace cli {
namespace {

namespace server = registry::server;

struct Arguments {
    std::vector<std::string> files;
    std::string listen = "0.0.0.0:8080";
    std::string public_url;
};

// An IPv4 address of this machine that others may reach; empty where it has none.
std::string own_address() {
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) < 0) return {};
    const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> guard(list, &::freeifaddrs);
    for (const ifaddrs* entry = list; entry; entry = entry->ifa_next) {
        if (!entry->ifa_addr || entry->ifa_addr->sa_family != AF_INET) continue;
        if ((entry->ifa_flags & IFF_LOOPBACK) != 0 || (entry->ifa_flags & IFF_UP) == 0) continue;
        char host[NI_MAXHOST];
        if (::getnameinfo(entry->ifa_addr, sizeof(sockaddr_in), host, sizeof host, nullptr, 0, NI_NUMERICHOST) == 0) return host;
    }
    return {};
}

// An address at which a server that listens on every address can be reached.
std::string reachable(const std::string& url) {
    constexpr std::string_view kEvery = "http://0.0.0.0:";
    if (!url.starts_with(kEvery)) return url;
    const std::string address = own_address();
    return "http://" + (address.empty() ? "127.0.0.1" : address) + ":" + url.substr(kEvery.size());
}

int serve(const Arguments& arguments) {
    std::vector<server::ServedFile> files;
    std::set<std::string> tags;
    for (const std::string& path : arguments.files) {
        files.push_back(server::open_served_file(path));
        if (!tags.insert(files.back().tag).second) throw base::Error(path + ": another file has the same name");
    }
    // Before any thread starts, so that all threads have them blocked.
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP})
        sigaddset(&signals, signal);
    if (::pthread_sigmask(SIG_BLOCK, &signals, nullptr) != 0) base::throw_errno("cannot block signals");

    base::log_to_stderr("gvmi");
    server::PublicUrls urls;
    if (!arguments.public_url.empty()) {
        urls.http = arguments.public_url;
        while (urls.http.ends_with('/'))
            urls.http.pop_back();
    }
    server::HttpOptions options;
    options.listen = arguments.listen;
    server::HttpServer http(
        options, [&](const server::Request& request) { return server::route_files(request, files, urls); },
        [](const server::Request&, unsigned, uint64_t) {});
    const std::string url = urls.http.empty() ? reachable(http.url()) : urls.http;
    for (const server::ServedFile& file : files) {
        std::cout << file.name << ": " << base::format_size(file.size) << "\nimage hash: " << file.sha3 << "\nimage tag: " << file.tag
                  << "\nURL:      " << url << "/download/" << file.sha3 << "/" << file.name << "\n"
                  << sdk_lines(url, file.tag, file.sha3) << "\n";
    }
    std::cout << "serving on " << http.url() << " until Ctrl-C" << std::endl;
    int signal = 0;
    (void)::sigwait(&signals, &signal);
    constexpr unsigned kGraceSeconds = 1;
    http.stop(kGraceSeconds);
    return 0;
}

}  // namespace

void add_serve_command(CLI::App& app, Action& chosen) {
    CLI::App* command = app.add_subcommand("serve", "Serves images from this machine, to try them before publishing");
    command->footer(
        "Example: gvmi serve python.gvmi\nSDKs find the images by hash or tag as in a registry; providers must reach this machine.");
    const auto arguments = std::make_shared<Arguments>();
    command->add_option("FILE", arguments->files, "The .gvmi files")->required();
    command->add_option("--listen", arguments->listen, "HOST:PORT or [IPV6]:PORT; port 0 is a free one")->capture_default_str();
    command->add_option("--public-url", arguments->public_url,
                        "The URL at which others reach this server, for a proxy or a forwarded port");
    command->callback([&chosen, arguments] { chosen = [arguments] { return serve(*arguments); }; });
}

}  // namespace cli
