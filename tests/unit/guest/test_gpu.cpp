#include "self_test/gpu.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/temporary_folder.h"

namespace {

namespace fs = std::filesystem;

// What `nvidia-smi -q` of the driver 570.124.06 prints of an RTX 5090, without most of the sections that are not read.
constexpr std::string_view kSmi = R"(
==============NVSMI LOG==============

Timestamp                                 : Wed Apr 30 17:22:38 2025
Driver Version                            : 570.124.06
CUDA Version                              : 12.8

Attached GPUs                             : 1
GPU 00000000:02:00.0
    Product Name                          : NVIDIA GeForce RTX 5090
    Product Brand                         : GeForce
    GPU UUID                              : GPU-ea2294a3-4d61-1757-8aed-f91723f16ad2
    FB Memory Usage
        Total                             : 32607 MiB
        Reserved                          : 487 MiB
        Used                              : 2 MiB
        Free                              : 32119 MiB
    BAR1 Memory Usage
        Total                             : 32768 MiB
        Used                              : 2 MiB
        Free                              : 32766 MiB
    Conf Compute Protected Memory Usage
        Total                             : 0 MiB
    Clocks
        Graphics                          : 22 MHz
        SM                                : 22 MHz
        Memory                            : 405 MHz
        Video                             : 600 MHz
    Deferred Clocks
        Memory                            : N/A
    Max Clocks
        Graphics                          : 3090 MHz
        SM                                : 3090 MHz
        Memory                            : 14001 MHz
        Video                             : 3100 MHz
    Max Customer Boost Clocks
        Graphics                          : N/A
    Voltage
        Graphics                          : N/A
)";

// /proc/driver/nvidia/gpus/0000:01:00.0/information
constexpr const char* kInformation =
    "Model: \t\t\t NVIDIA GeForce RTX 3060 Ti\nIRQ:   \t\t\t 74\nGPU UUID: \t\t GPU-16d2f1c0-1234-5678-9abc-def012345678\n"
    "Video BIOS: \t\t 94.06.25.00.6c\nBus Type: \t\t PCIe\nBus Location: \t\t 0000:01:00.0\nDevice Minor: \t\t 0\n";

class Gpu : public testing::Test {
protected:
    void write(const std::string& name, const std::string& text) {
        const fs::path file = folder_.path() / name;
        fs::create_directories(file.parent_path());
        std::ofstream(file) << text;
    }
    void add_pci_devices() {
        for (const auto& [address, type, device] :
             {std::tuple{"0000:00:00.0", "0x060000", "0x29c0"}, {"0000:00:05.0", "0x030000", "0x2489"}}) {
            const std::string folder = std::string("sys/bus/pci/devices/") + address;
            write(folder + "/class", std::string(type) + "\n");
            write(folder + "/vendor", "0x10de\n");
            write(folder + "/device", std::string(device) + "\n");
        }
    }
    void add_driver(const std::string& version) {
        write("proc/driver/nvidia/gpus/0000:01:00.0/information", kInformation);
        write("proc/driver/nvidia/version", version + "\nGCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n");
    }
    std::string described(std::string_view smi = "", std::string_view capability = "") {
        return self_test::describe_gpu(folder_.path(), smi, capability);
    }

    base::TemporaryFolder folder_;
};

TEST_F(Gpu, NoneIsNotDescribed) {
    EXPECT_EQ(described(), "");
    EXPECT_EQ(described("No devices were found\n"), "");
}

TEST_F(Gpu, WithoutADriverHasItsNumbers) {
    add_pci_devices();
    EXPECT_EQ(described(), R"({"gpu":{"model":"PCI device 10de:2489"}})");
}

TEST_F(Gpu, OfADriverHasItsNameThere) {
    add_pci_devices();
    add_driver("NVRM version: NVIDIA UNIX x86_64 Kernel Module  515.76  Mon Sep 12 19:21:56 UTC 2022");
    EXPECT_EQ(described(), R"({"gpu":{"model":"NVIDIA GeForce RTX 3060 Ti"}})") << "CUDA without its library";
    write("usr/lib/x86_64-linux-gnu/libcuda.so.1", "");
    EXPECT_EQ(described(), R"({"gpu":{"model":"NVIDIA GeForce RTX 3060 Ti","cuda":{"enabled":true,"version":"11.7"}}})");
}

TEST_F(Gpu, HasTheCudaOfItsDriversBranch) {
    write("usr/lib64/libcuda.so.1", "");
    const std::pair<const char*, const char*> drivers[] = {
        {"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.57.08  Release Build  (dvs-builder@U16)  Tue May 20 2025", "12.9"},
        {"NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Wed Jan 22 2025", "12.8"},
        {"NVRM version: NVIDIA UNIX x86_64 Kernel Module  440.95.01  Thu May 28 07:03:08 UTC 2020", ""},
        {"NVRM version: NVIDIA UNIX x86_64 Kernel Module  999.1  of the future", "13.3"},
        {"no version", ""},
    };
    for (const auto& [text, cuda] : drivers) {
        add_driver(text);
        const std::string told = *cuda ? std::string(R"(,"cuda":{"enabled":true,"version":")") + cuda + "\"}" : "";
        EXPECT_EQ(described(), R"({"gpu":{"model":"NVIDIA GeForce RTX 3060 Ti")" + told + "}}") << text;
    }
}

TEST_F(Gpu, IsWhatNvidiaSmiSays) {
    add_pci_devices();
    add_driver("NVRM version: NVIDIA UNIX x86_64 Kernel Module  515.76  Mon Sep 12 19:21:56 UTC 2022");
    EXPECT_EQ(described(kSmi, "12.0\n"),
              R"({"gpu":{"model":"NVIDIA GeForce RTX 5090","cuda":{"enabled":true,"version":"12.8","compute-capability":"12.0"},)"
              R"("clocks":{"graphics.mhz":3090,"memory.mhz":14001,"sm.mhz":3090,"video.mhz":3100},"memory":{"total.gib":31.84}}})");
}

TEST_F(Gpu, IsTheFirstOfSeveral) {
    const std::string second =
        "GPU 00000000:03:00.0\n    Product Name                          : NVIDIA A10G\n    FB Memory Usage\n        Total                 "
        " "
        "           : 23028 MiB\n";
    const std::string one = described(kSmi, "12.0\n");
    EXPECT_EQ(described(std::string(kSmi) + second, "12.0\n8.6\n"), one);
}

TEST_F(Gpu, LeavesOutWhatNvidiaSmiDoesNotKnow) {
    EXPECT_EQ(described("CUDA Version : N/A\nGPU 00000000:02:00.0\n Product Name : Tesla \"T4\\\n FB Memory Usage\n  Total : N/A\n Max "
                        "Clocks\n  SM : N/A\n  Video : 99999999999 MHz\n",
                        "[N/A]\n"),
              R"({"gpu":{"model":"Tesla T4"}})");
    EXPECT_EQ(described("GPU 00000000:02:00.0\n Product Name : Tesla T4\n", "Field \"compute_cap\" is not a valid field to query.\n"),
              R"({"gpu":{"model":"Tesla T4"}})");
}

}  // namespace
