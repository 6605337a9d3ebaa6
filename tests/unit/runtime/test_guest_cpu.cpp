#include "runtime/guest_cpu.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/temporary_folder.h"
#include "runtime/templates.h"

namespace {

namespace fs = std::filesystem;
using vm::Accelerator;

constexpr uint32_t kSse2 = 1 << 26;

agent::Ready ready(uint32_t leaf7_ebx) {
    agent::Ready ready;
    ready.mutable_cpu()->set_leaf1_ecx(1);
    ready.mutable_cpu()->set_leaf1_edx(kSse2);
    ready.mutable_cpu()->set_leaf7_ebx(leaf7_ebx);
    ready.mutable_cpu()->set_leaf7_ecx(4);
    return ready;
}

// What needs no VM: for which VMs the kept CPU counts. tests/system/test_lifecycle_offer.cpp asks VMs.
class GuestCpu : public testing::Test {
protected:
    GuestCpu() {
        options_.cache_dir = folder_.path() / "cache";
        options_.runtime_files = folder_.path();
        options_.qemu = GVMKIT_QEMU;
        for (const char* name : {"vmlinux", "initramfs"})
            std::ofstream(folder_.path() / name) << name;
    }
    void keep(Accelerator accelerator, uint32_t leaf7_ebx) {
        runtime::keep_guest_cpu(options_, runtime::bare_machine(options_, accelerator), ready(leaf7_ebx));
    }
    // The kept leaf7_ebx; -1: none.
    int64_t kept(Accelerator accelerator) {
        const auto cpu = runtime::recall_guest_cpu(options_, accelerator);
        return cpu ? int64_t{cpu->leaf7_ebx} : -1;
    }

    base::TemporaryFolder folder_;
    runtime::Options options_;
};

TEST_F(GuestCpu, IsKeptWhole) {
    EXPECT_FALSE(runtime::recall_guest_cpu(options_, Accelerator::tcg));
    keep(Accelerator::tcg, 0xffffffff);
    const auto cpu = runtime::recall_guest_cpu(options_, Accelerator::tcg);
    ASSERT_TRUE(cpu);
    EXPECT_EQ(cpu->leaf1_ecx, 1U);
    EXPECT_EQ(cpu->leaf1_edx, kSse2);
    EXPECT_EQ(cpu->leaf7_ebx, 0xffffffff);
    EXPECT_EQ(cpu->leaf7_ecx, 4U);
}

TEST_F(GuestCpu, IsAnotherUnderKvmAndWithAnotherModelKernelOrAgent) {
    keep(Accelerator::tcg, 7);
    EXPECT_EQ(kept(Accelerator::kvm), -1);
    keep(Accelerator::kvm, 8);
    EXPECT_EQ(kept(Accelerator::kvm), 8);
    EXPECT_EQ(kept(Accelerator::tcg), -1);
    options_.cpu = "Nehalem";
    EXPECT_EQ(kept(Accelerator::kvm), -1);
    keep(Accelerator::kvm, 9);
    EXPECT_EQ(kept(Accelerator::kvm), 9);
    for (const char* name : {"vmlinux", "initramfs"}) {
        std::ofstream(folder_.path() / name) << "a newer one";
        EXPECT_EQ(kept(Accelerator::kvm), -1) << name;
        keep(Accelerator::kvm, 10);
        EXPECT_EQ(kept(Accelerator::kvm), 10) << name;
    }
}

TEST_F(GuestCpu, IsTheSameForVmsOfAllSizesButLearnedFromOneCore) {
    options_.memory_bytes = 1 << 30;
    keep(Accelerator::tcg, 7);
    options_.memory_bytes = 512 << 20;
    options_.cores = 2;
    EXPECT_EQ(kept(Accelerator::tcg), 7);
    keep(Accelerator::tcg, 8);
    EXPECT_EQ(kept(Accelerator::tcg), 7) << "a VM of two cores has a feature more";
}

TEST_F(GuestCpu, IsNotKeptWithoutACacheFolder) {
    options_.cache_dir.clear();
    keep(Accelerator::tcg, 7);
    EXPECT_EQ(kept(Accelerator::tcg), -1);
}

TEST_F(GuestCpu, MustBeOneThatThereCanBe) {
    const vm::Machine machine = runtime::bare_machine(options_, Accelerator::tcg);
    agent::Ready without = ready(7);
    without.mutable_cpu()->set_leaf1_edx(~kSse2);
    EXPECT_THROW(runtime::keep_guest_cpu(options_, machine, without), base::Error);
    EXPECT_THROW(runtime::keep_guest_cpu(options_, machine, {}), base::Error);
    EXPECT_EQ(kept(Accelerator::tcg), -1);
    fs::create_directory(options_.cache_dir);
    std::ofstream(options_.cache_dir / "guest-cpu.json") << "no JSON";
    EXPECT_EQ(kept(Accelerator::tcg), -1);
}

}  // namespace
