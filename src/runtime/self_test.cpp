#include "runtime/self_test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "base/size.h"
#include "base/temporary_folder.h"
#include "runtime/accelerator.h"
#include "runtime/host/limits.h"
#include "runtime/run_command.h"
#include "runtime/templates.h"

namespace runtime {
namespace asio = boost::asio;
namespace {

constexpr const char* kImage = "self-test.gvmi";
constexpr const char* kVolume = "/golem/volume";
constexpr const char* kOverride =
    R"({"/golem/storage":{"storage":{"size":"16 MiB"}},"/golem/ram":{"ram":{"size":"1 MiB"}},"/golem/volume":{"host":{}}})";
// What guest/self_test/main.cpp expects and leaves behind.
constexpr std::string_view kGreeting = "from the host";
constexpr std::string_view kAnswer = "from the guest";
constexpr size_t kMaxOutput = 64 << 10;

void check_memory(uint64_t wanted) {
    const uint64_t available = available_memory({});
    if (available >= wanted) return;
    throw base::Error("not enough memory: a VM of " + base::format_size(wanted) + " was asked for and the host has " +
                      base::format_size(available) + " available; end other programs or lower --test-mem-gib");
}

std::filesystem::path volume_folder(const SandboxPlan& plan) {
    for (const Volume& volume : plan.deployment.volumes.volumes) {
        if (volume.path == kVolume) return plan.options.workdir / volume.name;
    }
    throw base::Error("the self-test image has no volume");
}

void check_answer(const std::filesystem::path& file) {
    if (base::read_file(file, kMaxOutput) != kAnswer) throw base::Error(file.string() + " does not hold what the VM wrote there");
}

}  // namespace

asio::awaitable<std::string> self_test(asio::any_io_executor executor, Options options) {
    SandboxPlan plan;
    plan.accelerator = co_await choose_accelerator(executor, options, Purpose::test);
    check_memory(options.memory_bytes);
    const std::filesystem::path image = options.runtime_files / kImage;
    check_installed(image);
    // So that VMs of this shape start fast from now on, and this test shows it.
    co_await try_make_template(executor, options, plan.accelerator, TemplateUrgency::awaited);
    const base::TemporaryFolder folder(options.workdir);
    options.workdir = folder.path();
    options.images = {image};
    options.volume_override = kOverride;
    options.vpn_endpoint.clear();
    options.inet_endpoint.clear();
    plan.deployment = deploy(options);
    plan.options = std::move(options);
    const std::filesystem::path shared = volume_folder(plan);
    base::write_all(base::open_file(shared / "host", O_WRONLY | O_CREAT).get(), kGreeting, "the volume");

    std::string output;
    std::string errors;
    CommandRun command(executor, [&](agent::Stream stream, const std::string& data) {
        std::string& text = stream == agent::STDOUT ? output : errors;
        if (text.size() < kMaxOutput) text += data;
    });
    const int code = co_await command.run(std::move(plan), {});
    if (code != 0) throw base::Error("inside the VM: " + (errors.empty() ? "exit code " + std::to_string(code) : errors));
    check_answer(shared / "guest");
    co_return output;
}

}  // namespace runtime
