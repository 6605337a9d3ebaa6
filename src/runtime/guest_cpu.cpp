#include "runtime/guest_cpu.h"

#include <chrono>
#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "runtime/guest.h"
#include "runtime/host/machine_fact.h"
#include "runtime/templates.h"
#include "vm/template_store.h"

namespace runtime {
namespace asio = boost::asio;
using asio::awaitable;
namespace {

constexpr auto kTellLimit = std::chrono::minutes(1);
constexpr uint64_t kSmallMemory = 128 << 20;  // bytes

std::filesystem::path cpu_file(const Options& options) {
    return options.cache_dir / "guest-cpu.json";
}

// All that the CPU depends on is in the key of a template, which holds a running guest. The size of a VM is there too.
std::string cpu_key(const vm::Machine& machine) {
    vm::Machine small = vm::bare(machine);
    small.cores = 1;
    small.memory_bytes = kSmallMemory;
    return vm::template_key(small);
}

CpuFeatures features_of(const agent::Ready& ready) {
    constexpr uint32_t kSse2 = 1 << 26;  // which each x86-64 CPU has
    const agent::CpuFeatures& cpu = ready.cpu();
    if ((cpu.leaf1_edx() & kSse2) == 0) throw base::Error("the VM does not tell what its CPU can do");
    return {.leaf1_ecx = cpu.leaf1_ecx(), .leaf1_edx = cpu.leaf1_edx(), .leaf7_ebx = cpu.leaf7_ebx(), .leaf7_ecx = cpu.leaf7_ecx()};
}

}  // namespace

void keep_guest_cpu(const Options& options, const vm::Machine& machine, const agent::Ready& ready) {
    const CpuFeatures cpu = features_of(ready);
    if (options.cache_dir.empty() || machine.cores != 1) return;
    keep_fact(cpu_file(options), cpu_key(machine),
              {{"leaf1_ecx", cpu.leaf1_ecx}, {"leaf1_edx", cpu.leaf1_edx}, {"leaf7_ebx", cpu.leaf7_ebx}, {"leaf7_ecx", cpu.leaf7_ecx}});
}

std::optional<CpuFeatures> recall_guest_cpu(const Options& options, vm::Accelerator accelerator) {
    CpuFeatures cpu;
    const auto read = [&cpu](const nlohmann::json& json) {
        const auto value = [&json](const char* name) { return json.at(name).get<uint32_t>(); };
        cpu = {.leaf1_ecx = value("leaf1_ecx"),
               .leaf1_edx = value("leaf1_edx"),
               .leaf7_ebx = value("leaf7_ebx"),
               .leaf7_ecx = value("leaf7_ecx")};
    };
    if (options.cache_dir.empty() || !recall_fact(cpu_file(options), cpu_key(bare_machine(options, accelerator)), read)) return {};
    return cpu;
}

awaitable<CpuFeatures> guest_cpu(asio::any_io_executor executor, Options options, vm::Accelerator accelerator) {
    if (const auto known = recall_guest_cpu(options, accelerator)) co_return *known;
    options.cores = 1;
    options.memory_bytes = kSmallMemory;
    const vm::Machine machine = bare_machine(options, accelerator);
    Guest guest(executor, vm::copy(machine), {});
    const agent::Ready ready = co_await guest.ready(kTellLimit);
    co_await guest.end();
    keep_guest_cpu(options, machine, ready);
    co_return features_of(ready);
}

}  // namespace runtime
