#include "runtime/make_offer.h"

#include <optional>
#include <utility>

#include "runtime/accelerator.h"
#include "runtime/host/offer.h"
#include "runtime/host/pci.h"
#include "runtime/self_test.h"

namespace runtime {
namespace asio = boost::asio;

asio::awaitable<std::string> make_offer(asio::any_io_executor executor, Options options) {
    bool gpu = false;
    for (const std::string& device : options.pci_devices)
        gpu = find_host_device({}, device).gpu || gpu;
    std::optional<std::string> gpu_text;
    if (gpu) {
        gpu_text = co_await self_test(executor, std::move(options));
    } else {
        (void)co_await choose_accelerator(executor, std::move(options), true);
    }
    co_return offer_json(describe_cpu(this_cpu), gpu_text);
}

}  // namespace runtime
