#include "runtime/templates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <fstream>

#include "base/error.h"
#include "base/temporary_folder.h"
#include "vm/template_store.h"

namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using runtime::TemplateOutcome;
using testing::HasSubstr;

constexpr auto kAccelerator = vm::Accelerator::tcg;

// What needs no VM: which template counts, and when none is made. tests/system/test_template*.cpp make templates and start VMs from them.
class Templates : public testing::Test {
protected:
    Templates() {
        options_.cache_dir = folder_.path() / "cache";
        options_.runtime_files = folder_.path();
        options_.qemu = GVMKIT_QEMU;
        fs::create_directory(options_.cache_dir);
        for (const char* name : {"vmlinux", "initramfs"})
            std::ofstream(folder_.path() / name) << name;
    }
    vm::Machine machine() { return runtime::bare_machine(options_, kAccelerator); }
    std::string key() { return vm::template_key(machine()); }
    vm::TemplateStore store() { return vm::TemplateStore(options_.cache_dir / "templates"); }
    TemplateOutcome make() {
        asio::io_context io;
        auto outcome = asio::co_spawn(
            io, runtime::make_template(io.get_executor(), options_, kAccelerator, runtime::TemplateUrgency::awaited), asio::use_future);
        io.run();
        return outcome.get();
    }
    // A file under the name of this shape's template, with these bytes.
    void publish(const std::string& bytes) {
        const vm::TemplateStore templates = store();
        const base::UniqueFd file = templates.create();
        base::write_all(file.get(), bytes, "a template");
        templates.publish(file, key(), 1 << 20);
    }

    base::TemporaryFolder folder_;
    runtime::Options options_;
};

TEST_F(Templates, AMachineHasTheShapeOfTheOptions) {
    options_.cores = 3;
    options_.memory_bytes = 300 << 20;
    const vm::Machine machine = this->machine();
    EXPECT_EQ(machine.cores, 3U);
    EXPECT_EQ(machine.memory_bytes, 300U << 20);
    EXPECT_EQ(machine.kernel, folder_.path() / "vmlinux");
    EXPECT_EQ(machine.initramfs, folder_.path() / "initramfs");
    EXPECT_EQ(machine.accelerator, kAccelerator);
    EXPECT_THAT(machine.disks, testing::IsEmpty());
}

TEST_F(Templates, ThereIsNoneUntilOneIsMade) {
    EXPECT_FALSE(runtime::find_template(options_, machine()));
}

TEST_F(Templates, ADamagedOneIsRemovedAndTheVmBoots) {
    publish("this is no template");
    EXPECT_TRUE(store().find(key()));
    EXPECT_FALSE(runtime::find_template(options_, machine()));
    EXPECT_FALSE(store().find(key()));
}

TEST_F(Templates, NoneIsLookedForWhereNoneIsWanted) {
    publish("this is no template");
    options_.templates = false;
    EXPECT_FALSE(runtime::find_template(options_, machine()));
    options_.templates = true;
    options_.cache_dir.clear();
    EXPECT_FALSE(runtime::find_template(options_, machine()));
    options_.cache_dir = folder_.path() / "cache";
    vm::Machine pci = machine();
    pci.pci_devices.push_back({});
    EXPECT_FALSE(runtime::find_template(options_, pci));
    EXPECT_TRUE(store().find(key())) << "it was removed by somebody who did not want to look at it";
}

TEST_F(Templates, DroppingRemovesTheFileOfThisShapeAlone) {
    publish("this is no template");
    options_.cores = 2;
    runtime::drop_template(options_, machine());  // there is none: nothing happens
    options_.cores = 1;
    EXPECT_TRUE(store().find(key()));
    runtime::drop_template(options_, machine());
    EXPECT_FALSE(store().find(key()));
}

TEST_F(Templates, NoneIsMadeTwice) {
    publish("a file of that name");
    EXPECT_EQ(make(), TemplateOutcome::present);
}

TEST_F(Templates, OneProcessAtATimeMakesOne) {
    const vm::TemplateStore templates = store();
    const base::UniqueFd lock = templates.try_lock();
    ASSERT_TRUE(lock);
    EXPECT_EQ(make(), TemplateOutcome::busy);
}

TEST_F(Templates, OneThatDidNotWorkIsNotTriedAgain) {
    store().refuse(key());
    EXPECT_EQ(make(), TemplateOutcome::refused);
}

TEST_F(Templates, NeedsACacheFolder) {
    options_.cache_dir.clear();
    try {
        make();
        FAIL();
    } catch (const base::Error& e) {
        EXPECT_THAT(e.what(), HasSubstr("--cache-dir"));
    }
}

}  // namespace
