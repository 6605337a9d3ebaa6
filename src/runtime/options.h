// Folder runtime: what `ya-runtime-vm` does (docs/spec/exe-unit.md): deployments and their volumes, the running sandbox and its processes,
// networks, the provider's view of the machine, and the service for a supervisor.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace runtime {

enum class AcceleratorChoice { automatic, kvm, tcg };

// What a provider lets thin images do (docs/spec/thin.md).
struct ThinSettings {
    enum class Use { on, listed, off } use = Use::on;  // listed: only from hosts in `allow`
    std::vector<std::string> allow;                    // "HOST" or "HOST:PORT" that may be at addresses that are not public
    bool fetch_all = true;                             // also what the VM has not read
    unsigned patience_s = 600;                         // for servers that fail while the VM waits
    uint64_t rate = 0;                                 // bytes per second of one VM's image; 0: any
    uint64_t cache_bytes = uint64_t{20} << 30;         // of all blocks below the cache folder
};

// Settings from the command line and the environment (docs/spec/exe-unit.md, docs/spec/cli.md).
struct Options {
    std::filesystem::path workdir;              // W; by default the current directory
    std::vector<std::filesystem::path> images;  // --task-package, the topmost layer first
    std::string cpu;                            // QEMU's name of a model, as vm::Machine takes it
    unsigned cores = 1;
    uint64_t memory_bytes = 256 << 20;            // whole MiB
    uint64_t storage_bytes = 256 << 20;           // of the root's writable layer
    std::optional<uint64_t> storage_limit_bytes;  // that root and all volumes may hold on the host; 0: any; none: what was agreed on
    std::string volume_override;                  // JSON; empty: none
    std::string hostname = "golem";
    std::string vpn_endpoint;              // URL; empty: no card
    std::string inet_endpoint;             // URL; empty: no card
    std::vector<std::string> pci_devices;  // of the host, as find_host_device takes them
    AcceleratorChoice accelerator = AcceleratorChoice::automatic;
    std::filesystem::path debug_socket;  // where to offer the debug channel; empty: nowhere
    bool states = false;                 // report to the supervisor when the VM is up, and when it dies
    unsigned counters_s = 0;             // seconds between two reports of what the VM has used; 0: none
    bool strict_confinement = false;     // no VM where the host lacks a part of QEMU's confinement
    bool templates = true;               // start VMs from templates, and make missing ones
    ThinSettings thin;
    std::filesystem::path record_reads;   // `run` writes the blocks here that the VM has read of its first image; empty: nowhere
    std::filesystem::path cache_dir;      // empty: nothing is cached
    std::string qemu;                     // its path, or its name in PATH; empty: the runtime's own
    std::filesystem::path runtime_files;  // the folder of vmlinux, initramfs, self-test.gvmi, qemu/, and a provider's additions
};

// The folder `runtime` beside the running program.
std::filesystem::path default_runtime_files();

// $XDG_CACHE_HOME/gvmkit, or $HOME/.cache/gvmkit; empty where neither is set.
std::filesystem::path default_cache_dir();

}  // namespace runtime
