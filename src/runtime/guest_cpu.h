#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <optional>

#include "agent/agent.pb.h"
#include "runtime/host/offer.h"
#include "runtime/options.h"
#include "vm/machine.h"

namespace runtime {

// The CPU that VMs of these options have, as a VM with one core sees it (with more, CPUID says `htt` too). It is learned from a VM that
// boots, and kept in the options' cache folder for this host, QEMU, guest kernel and CPU model.

// Keeps what a VM has said when it was ready. Throws base::Error where no CPU can have said so.
void keep_guest_cpu(const Options& options, const vm::Machine& machine, const agent::Ready& ready);

// What is kept; none where nothing is.
std::optional<CpuFeatures> recall_guest_cpu(const Options& options, vm::Accelerator accelerator);

// What is kept, or else what a VM says that is booted for it, in a second or two. Throws base::Error.
boost::asio::awaitable<CpuFeatures> guest_cpu(boost::asio::any_io_executor executor, Options options, vm::Accelerator accelerator);

}  // namespace runtime
