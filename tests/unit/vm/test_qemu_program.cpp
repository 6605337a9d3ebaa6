#include "vm/qemu_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/temporary_folder.h"

namespace {

namespace fs = std::filesystem;

class QemuProgram : public testing::Test {
protected:
    QemuProgram() : file_(folder_.path() / "qemu") { std::ofstream(file_) << ""; }

    // A program that says so stands for a QEMU of that version.
    void answer(const std::string& text) {
        std::ofstream(file_) << "#!/bin/sh\necho '" << text << "'\n";
        fs::permissions(file_, fs::perms::owner_all);
    }
    std::string trouble() {
        try {
            vm::check_qemu({.file = file_, .firmware = {}});
        } catch (const base::Error& e) {
            return e.what();
        }
        return "";
    }

    base::TemporaryFolder folder_;
    fs::path file_;
};

TEST_F(QemuProgram, IsOursWithFirmwareBesideIt) {
    EXPECT_EQ(vm::find_qemu(file_).firmware, "");
    std::ofstream(folder_.path() / "qboot.rom") << "";
    fs::create_symlink(file_, folder_.path() / "link");
    const vm::QemuProgram found = vm::find_qemu(folder_.path() / "link");
    EXPECT_EQ(found.file, fs::canonical(file_));
    EXPECT_EQ(found.firmware, found.file.parent_path());
    EXPECT_TRUE(found.is_ours());
}

TEST_F(QemuProgram, IsFoundInPath) {
    EXPECT_EQ(vm::find_qemu("sh").file, fs::canonical("/bin/sh"));
    for (const char* name : {"no-such-program", "/nowhere/qemu"}) {
        EXPECT_THAT([name] { vm::find_qemu(name); }, testing::ThrowsMessage<base::Error>(std::string("there is no QEMU ") + name +
                                                                                         "; --qemu takes a path or a name in PATH"));
    }
}

TEST_F(QemuProgram, IsSevenPointTwoOrNewer) {
    for (const char* version : {"7.2.0 (Debian 1:7.2+dfsg-7)", "10.0.13", "8.0"}) {
        answer(std::string("QEMU emulator version ") + version);
        EXPECT_EQ(trouble(), "") << version;
    }
    answer("QEMU emulator version 7.1.9");
    EXPECT_EQ(trouble(), file_.string() + " is version 7.1; 7.2 or newer is needed");
    answer("hello");
    EXPECT_EQ(trouble(), file_.string() + " does not tell its version");
    EXPECT_NO_THROW(vm::check_qemu(vm::find_qemu(GVMKIT_QEMU)));
}

TEST_F(QemuProgram, KnowsCpuModelsByName) {
    const vm::QemuProgram ours = vm::find_qemu(GVMKIT_QEMU);
    for (const char* known : {"max", "Nehalem", "Nehalem-v1"})
        EXPECT_NO_THROW(vm::check_cpu_model(ours, known)) << known;
    for (const char* unknown : {"no-such-cpu", "Available", "alias", "sse", ""}) {
        EXPECT_THAT([&] { vm::check_cpu_model(ours, unknown); },
                    testing::ThrowsMessage<base::Error>(std::string("QEMU knows no CPU model ") + unknown +
                                                        "; this lists those that it knows: " + ours.file.string() + " -cpu help"));
    }
    answer("Available CPUs:\nx86 486   (alias configured by machine type)\nx86 max   Enables all\n\nRecognized CPUID flags:\n  sse");
    EXPECT_NO_THROW(vm::check_cpu_model({.file = file_, .firmware = {}}, "486")) << "as QEMU 7 writes it";
    EXPECT_THROW(vm::check_cpu_model({.file = file_, .firmware = {}}, "x86"), base::Error);
}

}  // namespace
