#include "cli/runtime_thin.h"

#include <algorithm>
#include <cctype>
#include <iostream>

#include "base/error.h"
#include "base/size.h"
#include "runtime/thin_images.h"

namespace cli {
namespace {

void print(const thin::BlockCache::Use& use, uint64_t limit) {
    std::cout << use.blocks << " blocks, " << base::format_size(use.bytes) << " of " << base::format_size(limit) << "; running VMs use "
              << use.leased_blocks << " of them\n";
}

}  // namespace

void add_thin_options(CLI::App& app, runtime::Options& options, ThinLine& line) {
    runtime::ThinSettings& thin = options.thin;
    app.add_option("--thin", line.use, "Thin images: on, off, or listed: only from the hosts of --thin-allow")
        ->envname("YA_RUNTIME_VM_THIN")
        ->check(CLI::IsMember({"on", "listed", "off"}))
        ->capture_default_str();
    app.add_option("--thin-allow", thin.allow,
                   "A host, HOST or HOST:PORT, that thin images may be fetched from at a private address; repeatable")
        ->take_all()
        ->allow_extra_args(false)
        ->delimiter(',')
        ->envname("YA_RUNTIME_VM_THIN_ALLOW");
    app.add_option("--thin-fetch", line.fetch, "all: fetch a thin image completely, in the background; needed: only what the VM reads")
        ->envname("YA_RUNTIME_VM_THIN_FETCH")
        ->check(CLI::IsMember({"all", "needed"}))
        ->capture_default_str();
    app.add_option("--thin-patience", thin.patience_s, "Seconds that a VM waits for the servers of its thin image before it ends")
        ->envname("YA_RUNTIME_VM_THIN_PATIENCE")
        ->check(CLI::Range(1, 86400))
        ->capture_default_str();
    app.add_option("--thin-rate", line.rate_mib, "MiB per second at which a VM's thin image is fetched at most; 0: any")
        ->envname("YA_RUNTIME_VM_THIN_RATE")
        ->check(CLI::Range(0.0, 1e6))
        ->capture_default_str();
    app.add_option("--thin-cache-gib", line.cache_gib, "GiB that the blocks of thin images may take below the cache folder")
        ->envname("YA_RUNTIME_VM_THIN_CACHE_GIB")
        ->check(CLI::Range(0.001, 1e6))
        ->capture_default_str();
    app.add_option("--record-reads", options.record_reads,
                   "With run: write to this file the numbers of the blocks that the VM read of its image")
        ->type_name("FILE");
}

void finish_thin_options(const ThinLine& line, runtime::Options& options) {
    using Use = runtime::ThinSettings::Use;
    options.thin.use = line.use == "on" ? Use::on : line.use == "off" ? Use::off : Use::listed;
    options.thin.fetch_all = line.fetch == "all";
    options.thin.rate = static_cast<uint64_t>(line.rate_mib * (1 << 20));
    options.thin.cache_bytes = base::gib_to_bytes(line.cache_gib);
    for (std::string& host : options.thin.allow)
        std::transform(host.begin(), host.end(), host.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
}

int run_cache_command(const runtime::Options& options, const std::vector<std::string>& arguments) {
    const std::string what = arguments.size() == 1 ? arguments[0] : "";
    if (what != "ls" && what != "prune" && what != "verify") throw base::Error("usage: ya-runtime-vm cache ls|prune|verify");
    const auto cache = runtime::open_block_cache(options);
    if (!cache) throw base::Error("there is no cache folder (--cache-dir)");
    const uint64_t limit = options.thin.cache_bytes;
    if (what == "ls") {
        print(cache->use(), limit);
        return 0;
    }
    if (what == "prune") {
        print(cache->prune(0), limit);
        return 0;
    }
    const thin::BlockCache::Use use = cache->verify();
    print(use, limit);
    if (use.damaged > 0) std::cout << use.damaged << " damaged blocks were removed\n";
    return use.damaged > 0 ? 1 : 0;
}

}  // namespace cli
