#pragma once

#include <filesystem>
#include <string>

namespace vm {

// The QEMU that runs VMs: ours, which is static and has its firmware beside it (vmm/qemu), or a system's.
struct QemuProgram {
    std::filesystem::path file;      // without symbolic links, whose names may not be there in its namespaces
    std::filesystem::path firmware;  // the folder of ours; empty: a system's QEMU knows where its own is

    bool is_ours() const { return !firmware.empty(); }
};

// Finds a QEMU by its path, or by its name in PATH. Throws base::Error where it is missing.
QemuProgram find_qemu(const std::string& name);

// Checks that a QEMU runs and is 7.2 or newer. Throws base::Error.
void check_qemu(const QemuProgram& qemu);

// Checks that a QEMU knows a CPU model by this name. Throws base::Error, which tells how to list those that it knows.
void check_cpu_model(const QemuProgram& qemu, const std::string& model);

}  // namespace vm
