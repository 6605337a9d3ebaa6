#include "self_test/gpu.h"

#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <utility>
#include <vector>

namespace self_test {
namespace {

struct Gpu {
    std::string model;
    std::string cuda;        // the newest version that the driver supports
    std::string capability;  // CUDA's "compute capability"
    unsigned memory_mib = 0;
    unsigned graphics_mhz = 0;  // each clock at its fastest
    unsigned memory_mhz = 0;
    unsigned sm_mhz = 0;
    unsigned video_mhz = 0;
};

std::string text_of(const std::string& file) {
    std::string text;
    char part[4096];
    std::FILE* const opened = std::fopen(file.c_str(), "re");
    if (opened == nullptr) return text;
    for (size_t n = 0; text.size() < 64 << 10 && (n = std::fread(part, 1, sizeof part, opened)) > 0;)
        text.append(part, n);
    (void)std::fclose(opened);
    return text;
}

std::vector<std::string> files_like(const std::string& pattern) {
    std::vector<std::string> files;
    glob_t found{};
    if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    ::globfree(&found);
    return files;
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kSpace = " \t\r\n";
    const size_t begin = std::min(text.find_first_not_of(kSpace), text.size());
    return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

std::string_view next_line(std::string_view& text) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    return line;
}

// A name as JSON has it without escapes.
std::string name_of(std::string_view text) {
    std::string name;
    for (const char c : trimmed(text)) {
        if (c >= ' ' && c <= '~' && c != '"' && c != '\\' && name.size() < 100) name += c;
    }
    return name;
}

// The number that a text begins with; 0: none.
unsigned number_of(std::string_view text) {
    unsigned number = 0;
    (void)std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

// "12.8"; empty where the text is no such version, as "N/A".
std::string version_of(std::string_view text) {
    const std::string_view version = trimmed(text);
    const size_t dot = version.find('.');
    const auto is_number = [](std::string_view part) {
        return !part.empty() && part.size() < 4 && part.find_first_not_of("0123456789") == std::string_view::npos;
    };
    const bool good = dot != std::string_view::npos && is_number(version.substr(0, dot)) && is_number(version.substr(dot + 1));
    return good ? std::string(version) : std::string();
}

// The value after "KEY:" at the beginning of a line.
std::string value_of(std::string_view text, std::string_view key) {
    while (!text.empty()) {
        const std::string_view line = next_line(text);
        if (line.starts_with(key)) return name_of(line.substr(key.size()));
    }
    return {};
}

// CUDA as NVIDIA's releases bring it with a branch of the driver. A newer driver runs what an older one does.
std::string cuda_of_driver(unsigned branch) {
    struct Release {
        unsigned branch;
        const char* cuda;
    };
    constexpr Release kReleases[] = {{610, "13.3"}, {595, "13.2"}, {590, "13.1"}, {580, "13.0"}, {575, "12.9"}, {570, "12.8"},
                                     {565, "12.7"}, {560, "12.6"}, {555, "12.5"}, {550, "12.4"}, {545, "12.3"}, {535, "12.2"},
                                     {530, "12.1"}, {525, "12.0"}, {520, "11.8"}, {515, "11.7"}, {510, "11.6"}, {495, "11.5"},
                                     {470, "11.4"}, {465, "11.3"}, {460, "11.2"}, {455, "11.1"}, {450, "11.0"}};
    for (const Release& release : kReleases) {
        if (branch >= release.branch) return release.cuda;
    }
    return {};
}

// "NVRM version: NVIDIA UNIX x86_64 Kernel Module  515.76  Mon Sep 12 …": 515.
unsigned driver_branch(std::string_view text) {
    for (std::string_view line = next_line(text); !line.empty();) {
        const std::string_view word = line.substr(0, line.find(' '));
        line.remove_prefix(std::min(line.size(), word.size() + 1));
        if (number_of(word) != 0 && word.find('.') != std::string_view::npos) return number_of(word);
    }
    return 0;
}

bool has_cuda_library(const std::string& root) {
    for (const char* folder : {"/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/lib/x86_64-linux-gnu", "/lib64", "/lib"}) {
        if (::access((root + folder + "/libcuda.so.1").c_str(), R_OK) == 0) return true;
    }
    return false;
}

std::string numbers_of_pci_gpu(const std::string& root) {
    for (const std::string& device : files_like(root + "/sys/bus/pci/devices/*")) {
        if (!text_of(device + "/class").starts_with("0x03")) continue;
        return "PCI device " + value_of(text_of(device + "/vendor"), "0x") + ":" + value_of(text_of(device + "/device"), "0x");
    }
    return {};
}

// Lines are "NAME : VALUE"; those of a section are below its name and indented further.
void read_smi(Gpu& gpu, std::string_view text) {
    std::string_view section;
    bool in_gpu = false;
    while (!text.empty()) {
        const std::string_view line = next_line(text);
        if (line.starts_with("GPU ") && std::exchange(in_gpu, true)) return;  // the second
        const size_t colon = line.find(" : ");
        const std::string_view name = trimmed(line.substr(0, colon));
        if (colon == std::string_view::npos) {
            section = name;
            continue;
        }
        const std::string_view value = trimmed(line.substr(colon + 3));
        if (name == "CUDA Version") gpu.cuda = version_of(value);
        if (name == "Product Name") gpu.model = name_of(value);
        if (section == "FB Memory Usage" && name == "Total") gpu.memory_mib = number_of(value);
        if (section != "Max Clocks") continue;
        if (name == "Graphics") gpu.graphics_mhz = number_of(value);
        if (name == "SM") gpu.sm_mhz = number_of(value);
        if (name == "Memory") gpu.memory_mhz = number_of(value);
        if (name == "Video") gpu.video_mhz = number_of(value);
    }
}

Gpu examine(const std::string& root, std::string_view smi, std::string_view capability) {
    Gpu gpu;
    gpu.model = numbers_of_pci_gpu(root);
    const std::vector<std::string> driven = files_like(root + "/proc/driver/nvidia/gpus/*");
    const std::string named = driven.empty() ? "" : value_of(text_of(driven[0] + "/information"), "Model:");
    if (!named.empty()) gpu.model = named;
    if (!named.empty() && has_cuda_library(root)) gpu.cuda = cuda_of_driver(driver_branch(text_of(root + "/proc/driver/nvidia/version")));
    read_smi(gpu, smi);
    gpu.capability = version_of(next_line(capability));
    return gpu;
}

// A JSON object of the members that are not empty.
std::string object_of(const std::vector<std::string>& members) {
    std::string text;
    for (const std::string& member : members) {
        if (!member.empty()) text += (text.empty() ? "" : ",") + member;
    }
    return "{" + text + "}";
}

std::string text_member(const char* key, const std::string& value) {
    return value.empty() ? "" : std::string("\"") + key + "\":\"" + value + "\"";
}

std::string number_member(const char* key, unsigned value) {
    return value == 0 ? "" : std::string("\"") + key + "\":" + std::to_string(value);
}

std::string object_member(const char* key, const std::vector<std::string>& members) {
    const std::string object = object_of(members);
    return object == "{}" ? "" : std::string("\"") + key + "\":" + object;
}

std::string gib_member(const char* key, unsigned mib) {
    char text[32];
    (void)std::snprintf(text, sizeof text, "%.2f", mib / 1024.0);
    return mib == 0 ? "" : std::string("\"") + key + "\":" + text;
}

}  // namespace

std::string describe_gpu(const std::string& root, std::string_view smi, std::string_view capability) {
    const Gpu gpu = examine(root, smi, capability);
    if (gpu.model.empty()) return {};
    std::vector<std::string> cuda{text_member("version", gpu.cuda), text_member("compute-capability", gpu.capability)};
    if (!gpu.cuda.empty()) cuda.insert(cuda.begin(), "\"enabled\":true");
    const std::vector<std::string> clocks{number_member("graphics.mhz", gpu.graphics_mhz), number_member("memory.mhz", gpu.memory_mhz),
                                          number_member("sm.mhz", gpu.sm_mhz), number_member("video.mhz", gpu.video_mhz)};
    return object_of({object_member("gpu", {text_member("model", gpu.model), object_member("cuda", cuda), object_member("clocks", clocks),
                                            object_member("memory", {gib_member("total.gib", gpu.memory_mib)})})});
}

}  // namespace self_test
