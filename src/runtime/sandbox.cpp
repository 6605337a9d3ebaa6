#include "runtime/sandbox.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <optional>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/timings.h"
#include "runtime/host/limits.h"
#include "runtime/host/pci.h"
#include "runtime/start_turn.h"
#include "runtime/templates.h"
#include "vm/confinement.h"

namespace runtime {
namespace asio = boost::asio;
using asio::awaitable;
namespace {

constexpr const char* kRootSerial = "root";
constexpr const char* kDriverSerial = "nvidia-files";
// Under emulation, on a busy machine, a boot takes some ten times its usual second.
constexpr auto kBootLimit = std::chrono::seconds(60);
constexpr auto kTurnLimit = std::chrono::seconds(5);
constexpr auto kSetupLimit = std::chrono::seconds(60);

std::string image_serial(size_t index) {
    return "image" + std::to_string(index);
}

std::string storage_serial(size_t index) {
    return "storage" + std::to_string(index);
}

vm::Disk open_disk(const std::filesystem::path& path, const std::string& serial, bool read_only) {
    return {.file = base::open_file(path, read_only ? O_RDONLY : O_RDWR), .serial = serial, .read_only = read_only};
}

// The root's writable disk. It is made anew where an earlier VM has used it up.
vm::Disk open_root_disk(const Volume& root, const std::filesystem::path& workdir) {
    const std::filesystem::path path = workdir / root.name;
    if (!std::filesystem::exists(path)) make_storage(root, workdir);
    vm::Disk disk = open_disk(path, kRootSerial, false);
    disk.ephemeral = true;
    if (::unlink(path.c_str()) < 0) base::throw_errno("cannot remove ", path);
    return disk;
}

void add_disks(vm::Machine& machine, const Deployment& deployment, const std::filesystem::path& workdir, ThinImages& thin) {
    for (size_t i = 0; i < deployment.images.size(); i++)
        machine.disks.push_back(thin.disk(deployment.images[i], image_serial(i)));
    const VolumePlan& plan = deployment.volumes;
    if (plan.root.kind == Volume::Kind::storage) machine.disks.push_back(open_root_disk(plan.root, workdir));
    for (size_t i = 0; i < plan.volumes.size(); i++) {
        const Volume& volume = plan.volumes[i];
        if (volume.kind == Volume::Kind::storage) machine.disks.push_back(open_disk(workdir / volume.name, storage_serial(i), false));
        if (volume.kind == Volume::Kind::host) machine.share = vm::Share{.folder = workdir / kVolumesFolder};
    }
}

// A vendor's driver files for VMs with PCI devices; empty: none.
std::filesystem::path driver_files(const Options& options) {
    const std::filesystem::path file = options.runtime_files / "nvidia-files.squashfs";
    return !options.pci_devices.empty() && std::filesystem::exists(file) ? file : std::filesystem::path();
}

void add_pci_devices(vm::Machine& machine, const Options& options) {
    if (options.pci_devices.empty()) return;
    for (const std::string& device : options.pci_devices)
        machine.pci_devices.push_back(passed_through(find_host_device({}, device)));
    raise_lock_limit(options.memory_bytes);
    const std::filesystem::path driver = driver_files(options);
    if (!driver.empty()) machine.disks.push_back(open_disk(driver, kDriverSerial, true));
}

void describe_volume(agent::Volume& described, const Volume& volume, size_t index) {
    described.set_path(volume.path);
    switch (volume.kind) {
        case Volume::Kind::host:
            described.set_shared(std::filesystem::path(volume.name).filename());
            break;
        case Volume::Kind::ram:
            described.set_ram(volume.bytes);
            break;
        case Volume::Kind::storage:
            described.set_disk(storage_serial(index));
            described.set_errors(volume.errors);
            break;
    }
}

void describe_volumes(agent::Setup& setup, const VolumePlan& plan) {
    if (plan.root.kind == Volume::Kind::ram) {
        setup.set_root_ram(plan.root.bytes);
    } else {
        setup.set_root_disk(kRootSerial);
    }
    for (size_t i = 0; i < plan.volumes.size(); i++) {
        describe_volume(*setup.add_volumes(), plan.volumes[i], i);
        if (plan.volumes[i].kind == Volume::Kind::host) setup.set_share(vm::kShareTag);
    }
}

agent::Request make_setup(const SandboxPlan& plan, const gvmi::Config& config) {
    agent::Request request;
    agent::Setup& setup = *request.mutable_setup();
    std::array<char, 64> seed{};
    if (::getrandom(seed.data(), seed.size(), 0) != static_cast<ssize_t>(seed.size())) base::throw_errno("cannot get random bytes");
    setup.set_seed(seed.data(), seed.size());
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    setup.set_wall_clock_ns(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
    setup.set_hostname(plan.deployment.hostname);
    for (size_t i = 0; i < plan.deployment.images.size(); i++)
        setup.add_images(image_serial(i));
    if (!driver_files(plan.options).empty()) setup.set_driver_files(kDriverSerial);
    describe_volumes(setup, plan.deployment.volumes);
    for (const Link& link : plan.links)
        *setup.add_cards() = describe_card(link);
    setup.set_user(config.user);
    for (const std::string& variable : config.env)
        setup.add_env(variable);
    setup.set_working_dir(config.working_dir);
    return request;
}

// The guest cannot do what the image or the deployment asks for, whichever way the VM was started.
class SetupError : public base::Error {
    using base::Error::Error;
};

awaitable<void> set_up(const SandboxPlan& plan, Sandbox& sandbox) {
    agent::Request setup = make_setup(plan, sandbox.config);
    std::string failure;
    bool asked_for_too_much = false;
    try {
        const auto limit = kSetupLimit + std::chrono::seconds(sandbox.thin->any() ? plan.options.thin.patience_s : 0);
        const agent::Reply reply = co_await sandbox.guest->request(std::move(setup), limit);
        sandbox.steps.assign(reply.steps().begin(), reply.steps().end());
        sandbox.user = {.uid = reply.user().uid(), .gid = reply.user().gid()};
    } catch (const agent::GuestError& e) {
        failure = e.what();
        asked_for_too_much = e.code() == agent::Error::BAD_REQUEST;
    }
    if (!failure.empty()) failure.insert(0, "the VM cannot be set up: ");
    if (asked_for_too_much) throw SetupError(failure);
    if (!failure.empty()) throw base::Error(failure);
    base::timings().mark("set up");
}

// Returns false where the VM did not get that far; it must be booted.
awaitable<bool> start_from_template(asio::any_io_executor executor, const SandboxPlan& plan, const vm::Machine& machine,
                                    const GuestEvents& events, Sandbox& sandbox) {
    const std::optional<vm::TemplateFile> origin = find_template(plan.options, machine);
    if (!origin) co_return false;
    // Until it is set up, nobody needs to know about its death.
    const auto alive = std::make_shared<bool>(false);
    GuestEvents guarded = events;
    guarded.died = [alive, died = events.died](const std::string& reason) {
        if (*alive && died) died(reason);
    };
    try {
        sandbox.guest = std::make_unique<Guest>(executor, vm::copy(machine), std::move(guarded), &*origin);
        co_await set_up(plan, sandbox);
        *alive = true;
        co_return true;
    } catch (const EndedError&) {  // nobody wants this VM any more
        throw;
    } catch (const SetupError&) {  // it would fail in a booted VM too
        throw;
    } catch (const vm::ConfinementError&) {
        throw;
    } catch (const base::Error& e) {
        spdlog::warn("booting: the VM could not be started from a template: {}", e.what());
    }
    // An image that ends its VM during setup does so in a booted one too.
    if (!sandbox.guest || !sandbox.guest->restored()) drop_template(plan.options, machine);
    sandbox.guest.reset();
    co_return false;
}

}  // namespace

awaitable<void> start_sandbox(asio::any_io_executor executor, const SandboxPlan& plan, GuestEvents events, Sandbox& sandbox) {
    const base::UniqueFd turn = co_await take_turn(executor, plan.options.cache_dir, kTurnLimit);
    sandbox.config = read_config(plan.deployment);
    vm::Machine machine = bare_machine(plan.options, plan.accelerator);
    add_disks(machine, plan.deployment, plan.options.workdir, *sandbox.thin);
    for (const vm::Disk& disk : machine.disks) {
        if (!disk.read_only) sandbox.disks.push_back(base::copy_of(disk.file));
    }
    add_pci_devices(machine, plan.options);
    for (const Link& link : plan.links)
        machine.cards[link.card] = make_card(link);
    sandbox.restored = co_await start_from_template(executor, plan, machine, events, sandbox);
    if (sandbox.restored) co_return;
    sandbox.guest = std::make_unique<Guest>(executor, std::move(machine), std::move(events));
    (void)co_await sandbox.guest->ready(kBootLimit);
    co_await set_up(plan, sandbox);
}

void log_timings(const Sandbox& sandbox) {
    if (!base::timings().on()) return;
    nlohmann::json steps = nlohmann::json::array();
    for (const base::Timings::Step& step : base::timings().steps())
        steps.push_back({{"what", step.what}, {"at", step.at}});
    nlohmann::json guest = nlohmann::json::array();
    for (const agent::Step& step : sandbox.steps)
        guest.push_back({{"what", step.what()}, {"took", step.microseconds() * 1e-6}});
    spdlog::info("timings: {}", base::to_text({{"began", base::timings().began()}, {"steps", steps}, {"guest", guest}}));
    base::timings().turn_off();
}

awaitable<void> stop_sandbox(Sandbox& sandbox, std::chrono::milliseconds grace, std::chrono::milliseconds limit) {
    agent::Request request;
    request.mutable_shutdown()->set_grace_ms(static_cast<uint32_t>(grace.count()));
    try {
        (void)co_await sandbox.guest->request(std::move(request), limit);
    } catch (const base::Error& e) {
        spdlog::error("the VM did not shut down cleanly: {}", e.what());
    }
    co_await sandbox.guest->end();
}

}  // namespace runtime
