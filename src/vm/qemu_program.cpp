#include "vm/qemu_program.h"

#include <fmt/format.h>

#include <cstdio>
#include <sstream>

#include "base/error.h"
#include "base/subprocess.h"

namespace vm {

QemuProgram find_qemu(const std::string& name) {
    constexpr const char* kOneOfItsFiles = "qboot.rom";
    const std::string found = base::find_program(name);
    if (found.empty() || !std::filesystem::exists(found))
        throw base::Error("there is no QEMU " + name + "; --qemu takes a path or a name in PATH");
    QemuProgram qemu{.file = std::filesystem::canonical(found), .firmware = {}};
    if (std::filesystem::exists(qemu.file.parent_path() / kOneOfItsFiles)) qemu.firmware = qemu.file.parent_path();
    return qemu;
}

void check_qemu(const QemuProgram& qemu) {
    const base::Finished finished = base::run({qemu.file, "--version"});
    int major = 0;
    int minor = 0;
    if (finished.code != 0 || std::sscanf(finished.output.c_str(), "QEMU emulator version %d.%d", &major, &minor) != 2)
        throw base::Error(qemu.file.string() + " does not tell its version");
    if (major * 100 + minor < 702)
        throw base::Error(fmt::format("{} is version {}.{}; 7.2 or newer is needed", qemu.file.string(), major, minor));
}

void check_cpu_model(const QemuProgram& qemu, const std::string& model) {
    // A heading, a line a model, such as "  max   Enables all features ..." (before version 8: "x86 max ..."), then the flags.
    std::istringstream lines(base::run({qemu.file, "-cpu", "help"}).output);
    for (std::string line; std::getline(lines, line) && !line.starts_with("Recognized CPUID flags");) {
        std::istringstream words(line);
        std::string name;
        words >> name;
        if (name == "x86") words >> name;
        if (name == model && (line.starts_with(' ') || line.starts_with("x86 "))) return;
    }
    throw base::Error(fmt::format("QEMU knows no CPU model {}; this lists those that it knows: {} -cpu help", model, qemu.file.string()));
}

}  // namespace vm
