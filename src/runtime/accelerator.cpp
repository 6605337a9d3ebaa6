#include "runtime/accelerator.h"

#include <fcntl.h>

#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "runtime/guest.h"
#include "runtime/guest_cpu.h"
#include "runtime/host/kvm.h"
#include "runtime/host/limits.h"
#include "runtime/templates.h"
#include "vm/qemu_program.h"

namespace runtime {
namespace asio = boost::asio;
using asio::awaitable;
namespace {

constexpr const char* kDevice = "/dev/kvm";
// Many times what a guest needs under KVM (well below a second), and less than a provider's `test` has in all.
constexpr auto kBootLimit = std::chrono::seconds(8);
constexpr uint64_t kTestMemory = 128 << 20;  // bytes

// Returns the QEMU, which is asked for its version and CPU models where a provider can wait for it, not at each start.
vm::QemuProgram check_installation(const Options& options, bool ask_qemu) {
    raise_descriptor_limit();
    for (const char* name : {"vmlinux", "initramfs"})
        check_installed(options.runtime_files / name);
    vm::QemuProgram qemu = find_qemu(options);
    if (ask_qemu) vm::check_qemu(qemu);
    if (ask_qemu && !options.cpu.empty()) vm::check_cpu_model(qemu, options.cpu);
    return qemu;
}

awaitable<void> boot_test(asio::any_io_executor executor, Options options) {
    options.cpu.clear();  // the verdict is on KVM, whatever CPU is asked for
    options.cores = 1;
    options.memory_bytes = kTestMemory;
    const vm::Machine machine = bare_machine(options, vm::Accelerator::kvm);
    Guest guest(executor, vm::copy(machine), {});
    keep_guest_cpu(options, machine, co_await guest.ready(kBootLimit));
    co_await guest.end();
}

}  // namespace

awaitable<vm::Accelerator> choose_accelerator(asio::any_io_executor executor, Options options, Purpose purpose) {
    const bool sells_cpu = purpose != Purpose::vm;
    const vm::QemuProgram qemu = check_installation(options, sells_cpu);
    if (options.accelerator == AcceleratorChoice::tcg) co_return vm::Accelerator::tcg;
    if (options.cache_dir.empty()) spdlog::info("the KVM verdict is not cached: neither --cache-dir nor XDG_CACHE_HOME nor HOME is set");
    BootTest boot = [executor, options] { return boot_test(executor, options); };
    const KvmVerdict verdict = co_await judge_kvm(kDevice, qemu.file, options.cache_dir, std::move(boot), purpose == Purpose::test);
    if (verdict.works) co_return vm::Accelerator::kvm;
    if (options.accelerator == AcceleratorChoice::kvm) throw base::Error("KVM does not work: " + verdict.reason);
    if (sells_cpu) throw base::Error("KVM does not work: " + verdict.reason + "; to sell software emulation anyway, use --accel tcg");
    spdlog::warn("the VM's CPU is emulated by software, which is slow, since KVM does not work: {}", verdict.reason);
    co_return vm::Accelerator::tcg;
}

}  // namespace runtime
