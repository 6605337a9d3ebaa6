#include "runtime/templates.h"

#include <fcntl.h>

#include <chrono>

#include "base/error.h"
#include "base/log.h"
#include "base/timings.h"
#include "runtime/guest.h"
#include "runtime/guest_cpu.h"
#include "vm/template_store.h"

namespace runtime {
namespace asio = boost::asio;
using asio::awaitable;
namespace {

constexpr uint64_t kLimit = uint64_t{1} << 30;
// It gets the CPU time that paid VMs leave.
constexpr auto kBootLimit = std::chrono::minutes(5);
constexpr const char* kGoodTimer = "lapic";  // or "lapic-deadline"

vm::TemplateStore open_store(const Options& options) {
    if (options.cache_dir.empty()) throw base::Error("neither --cache-dir nor XDG_CACHE_HOME nor HOME is set");
    return vm::TemplateStore(options.cache_dir / "templates");
}

awaitable<vm::SavedVm> boot_and_save(asio::any_io_executor executor, const Options& options, const vm::Machine& machine) {
    constexpr int kAttempts = 3;
    for (int attempt = 0; attempt < kAttempts; attempt++) {
        Guest guest(executor, vm::copy(machine), {});
        const agent::Ready ready = co_await guest.ready(kBootLimit);
        keep_guest_cpu(options, machine, ready);  // an offer made after `test` then needs no VM
        // Else the kernel ticks by the old timer chip even when idle, and so would all VMs from this template.
        if (ready.timer().starts_with(kGoodTimer)) co_return co_await guest.save();
        co_await guest.end();
    }
    throw base::Error("the VM's kernel could not measure its timer: the host is too busy");
}

// Restores a VM and asks it something. Returns the failure; empty: none.
awaitable<std::string> try_out(asio::any_io_executor executor, vm::Machine machine, const base::UniqueFd& file, const std::string& key) {
    constexpr auto kLimit = std::chrono::minutes(1);
    try {
        const vm::TemplateFile origin(base::copy_of(file), key);
        Guest guest(executor, std::move(machine), {}, &origin);
        agent::Request request;
        request.mutable_kill()->set_process(1);  // no such process runs, and the agent says so
        (void)co_await guest.request(std::move(request), kLimit);
    } catch (const agent::GuestError&) {
        co_return "";
    } catch (const base::Error& e) {
        co_return e.what();
    }
    co_return "it reports a process that was never started";
}

}  // namespace

vm::QemuProgram find_qemu(const Options& options) {
    if (!options.qemu.empty()) return vm::find_qemu(options.qemu);
    const std::filesystem::path own = options.runtime_files / "qemu/qemu-system-x86_64";
    check_installed(own);
    return vm::find_qemu(own);
}

void check_installed(const std::filesystem::path& file) {
    base::with_context("the installation is incomplete; reinstall the runtime", [&] { (void)base::open_file(file, O_RDONLY); });
}

vm::Machine bare_machine(const Options& options, vm::Accelerator accelerator) {
    vm::Machine machine;
    machine.qemu = find_qemu(options);
    machine.accelerator = accelerator;
    machine.cpu = options.cpu;
    machine.cores = options.cores;
    machine.memory_bytes = options.memory_bytes;
    machine.kernel = options.runtime_files / "vmlinux";
    machine.initramfs = options.runtime_files / "initramfs";
    if (options.strict_confinement) machine.confinement = vm::ConfinementMode::strict;
    return machine;
}

std::optional<vm::TemplateFile> find_template(const Options& options, const vm::Machine& machine) {
    if (!options.templates || options.cache_dir.empty() || !machine.pci_devices.empty()) return {};
    const std::string key = vm::template_key(machine);
    try {
        base::UniqueFd file = open_store(options).find(key);
        if (!file) return {};
        vm::TemplateFile found(std::move(file), key);
        base::timings().mark("template found");
        return found;
    } catch (const base::Error& e) {
        spdlog::warn("booting: template unusable: {}", e.what());
        drop_template(options, machine);
        return {};
    }
}

void drop_template(const Options& options, const vm::Machine& machine) {
    try {
        open_store(options).remove(vm::template_key(machine));
    } catch (const base::Error&) {  // then there is nothing to remove
    }
}

awaitable<TemplateOutcome> make_template(asio::any_io_executor executor, Options options, vm::Accelerator accelerator,
                                         TemplateUrgency urgency) {
    const vm::TemplateStore store = open_store(options);
    vm::Machine machine = bare_machine(options, accelerator);
    machine.background = urgency == TemplateUrgency::background;
    const std::string key = vm::template_key(machine);
    if (store.is_refused(key)) co_return TemplateOutcome::refused;
    const base::UniqueFd lock = store.try_lock();
    if (!lock) co_return TemplateOutcome::busy;
    if (store.find(key)) co_return TemplateOutcome::present;
    const base::UniqueFd file = store.create();
    const vm::SavedVm saved = co_await boot_and_save(executor, options, machine);
    co_await vm::TemplateFile::write(file.get(), key, saved);
    std::string trouble = co_await try_out(executor, vm::copy(machine), file, key);
    // It may be no fault of the template's, as where somebody has killed QEMU; a refusal lasts for a day.
    if (!trouble.empty()) trouble = co_await try_out(executor, std::move(machine), file, key);
    if (!trouble.empty()) {
        store.refuse(key);
        throw base::Error("a VM restored from the new template does not work: " + trouble);
    }
    store.publish(file, key, kLimit);
    co_return TemplateOutcome::made;
}

awaitable<void> try_make_template(asio::any_io_executor executor, Options options, vm::Accelerator accelerator, TemplateUrgency urgency) {
    if (!options.templates || !options.pci_devices.empty()) co_return;
    try {
        const TemplateOutcome outcome = co_await make_template(executor, std::move(options), accelerator, urgency);
        if (outcome == TemplateOutcome::made) spdlog::info("VMs like this one now start from a template");
    } catch (const base::Error& e) {
        spdlog::warn("no template for VMs like this one: {}", e.what());
    }
}

}  // namespace runtime
