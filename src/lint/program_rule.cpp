#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "base/untrusted_text.h"
#include "container/script.h"
#include "gvmi/squashfs_tree.h"
#include "lint/look.h"

namespace lint {
namespace {

constexpr size_t kStart = size_t{64} << 10;  // of a program: its header, its program headers and the name of its interpreter
constexpr int kMaxInterpreters = 4;          // a script run by a script; Linux allows as many

uint64_t number(const std::string& bytes, size_t offset, size_t size) {
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;)
        value = value << 8 | (offset + i < bytes.size() ? static_cast<unsigned char>(bytes[offset + i]) : 0U);
    return value;
}

// The program interpreter that an ELF file names; empty where it is static.
std::string elf_interpreter(const std::string& start) {
    constexpr uint64_t kInterp = 3;
    constexpr size_t kMaxHeaders = 64;
    const uint64_t table = number(start, 32, 8);
    const uint64_t size = number(start, 54, 2);
    const uint64_t count = std::min<uint64_t>(number(start, 56, 2), kMaxHeaders);
    for (uint64_t i = 0; i < count && table < start.size(); i++) {
        const size_t header = table + i * size;
        if (number(start, header, 4) != kInterp) continue;
        const uint64_t offset = number(start, header + 8, 8);
        if (offset >= start.size()) return {};
        return start.substr(offset, start.find('\0', offset) - offset);
    }
    return {};
}

void check(const Look& look, const std::string& path, const std::string& what, int depth, const std::string& remedy = {});

// Where a name without a slash is: in the image's PATH.
std::string in_path(const Look& look, const std::string& name) {
    std::string list = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for (const std::string& setting : look.config.env) {
        if (setting.starts_with("PATH=")) list = setting.substr(5);
    }
    // Each is looked up in the image. An environment of 1 MiB could name half a million.
    constexpr int kMaxFolders = 100;
    std::istringstream folders(list);
    std::string folder;
    for (int i = 0; i < kMaxFolders && std::getline(folders, folder, ':'); i++) {
        folder.append("/").append(name);
        const auto file = gvmi::find(look.reader, folder);
        if (file && S_ISREG(file->mode) && (file->mode & 0111) != 0) return folder;
    }
    return {};
}

// What a script's first line starts: its interpreter and, where that is env, the program that env looks for.
void check_script(const Look& look, const container::ScriptLine& line, const std::string& path, int depth) {
    constexpr const char* kLineEnds = "the script has the line ends of Windows (CR LF): convert it, as with dos2unix";
    const bool carriage_return = line.interpreter.ends_with('\r') || line.argument.ends_with('\r');
    const std::string of_script = " of " + base::quote(path);
    check(look, line.interpreter, "the interpreter" + of_script, depth + 1, carriage_return ? kLineEnds : "");
    if (std::filesystem::path(line.interpreter).filename() != "env") return;
    const std::string program = container::program_of_env(line.argument);
    if (program.empty() || program.find('/') != std::string::npos || !in_path(look, program).empty()) return;
    const bool blanks = program.find_first_of(" \t") != std::string::npos;
    look.warn("program", "the interpreter" + of_script + ", " + base::quote(program) + ", is not in the image's PATH",
              carriage_return ? kLineEnds
              : blanks        ? "write `env -S` in its first line: Linux passes what follows env as one argument"
                              : "add it, or correct the script's first line");
}

void check_content(const Look& look, const gvmi::File& file, const std::string& path, int depth) {
    const std::string start = gvmi::read_start(look.reader, file, kStart);
    if (const auto line = container::parse_script_line(start)) {
        check_script(look, *line, path, depth);
        return;
    }
    constexpr const char* kRemedy = "build the image for linux/amd64";
    if (!start.starts_with("\x7f"
                           "ELF")) {
        look.warn("program", base::quote(path) + " is neither an ELF program nor a script with #!, and cannot be started", "");
        return;
    }
    constexpr uint64_t kClass64 = 2;
    constexpr uint64_t kX86 = 3;
    constexpr uint64_t kX86_64 = 62;
    const uint64_t machine = number(start, 18, 2);
    if (machine != kX86_64 && machine != kX86) {
        look.warn("program", base::quote(path) + " is for another processor (ELF machine " + std::to_string(machine) + ")", kRemedy);
        return;
    }
    if (number(start, 4, 1) != kClass64) return;
    const std::string interpreter = elf_interpreter(start);
    if (!interpreter.empty()) check(look, interpreter, "the dynamic linker of " + base::quote(path), depth + 1);
}

void check(const Look& look, const std::string& path, const std::string& what, int depth, const std::string& remedy) {
    if (depth > kMaxInterpreters) return;
    const auto file = gvmi::find(look.reader, path);
    if (!file) {
        look.warn("program", what + ", " + base::quote(path) + ", is not in the image",
                  remedy.empty() ? "add it, or correct the path" : remedy);
    } else if (!S_ISREG(file->mode) || (file->mode & 0111) == 0) {
        look.warn("program", what + ", " + base::quote(path) + ", is not an executable file", "chmod +x it");
    } else {
        check_content(look, *file, path, depth);
    }
}

}  // namespace

void look_at_program(const Look& look) {
    const bool entrypoint = !look.config.entrypoint.empty();
    const std::vector<std::string>& argv = entrypoint ? look.config.entrypoint : look.config.cmd;
    if (argv.empty() || argv[0].empty()) return;
    const std::string what = entrypoint ? "the entrypoint's program" : "the command's program";
    if (argv[0].find('/') != std::string::npos) {
        check(look, argv[0].starts_with('/') ? argv[0] : look.config.working_dir + "/" + argv[0], what, 0);
        return;
    }
    const std::string path = in_path(look, argv[0]);
    if (path.empty()) {
        look.warn("program", what + ", " + base::quote(argv[0]) + ", is not in the image's PATH", "add it, or give its path");
    } else {
        check(look, path, what, 0);
    }
}

}  // namespace lint
