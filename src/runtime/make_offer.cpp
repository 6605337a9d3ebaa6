#include "runtime/make_offer.h"

#include <optional>
#include <utility>

#include "runtime/accelerator.h"
#include "runtime/guest_cpu.h"
#include "runtime/host/offer.h"
#include "runtime/host/pci.h"
#include "runtime/self_test.h"

namespace runtime {
namespace asio = boost::asio;

asio::awaitable<std::string> make_offer(asio::any_io_executor executor, Options options) {
    bool gpu = false;
    for (const std::string& device : options.pci_devices)
        gpu = find_host_device({}, device).gpu || gpu;
    const vm::Accelerator accelerator = co_await choose_accelerator(executor, options, Purpose::offer);
    Cpu cpu = describe_cpu(this_cpu);
    cpu.capabilities = feature_names(co_await guest_cpu(executor, options, accelerator));
    std::optional<std::string> gpu_text;
    if (gpu) gpu_text = co_await self_test(executor, std::move(options));
    co_return offer_json(cpu, gpu_text);
}

}  // namespace runtime
