#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <filesystem>

#include "runtime/options.h"
#include "vm/machine.h"

namespace runtime {

// Chooses the accelerator. Where KVM does not work, `automatic` means software emulation, which is logged with the reason. With `sells_cpu`
// (test, offer-template) it is an error instead, as with `kvm`: no provider should sell an emulated CPU by accident. Throws base::Error,
// also where QEMU or a VM's files are missing.
boost::asio::awaitable<vm::Accelerator> choose_accelerator(boost::asio::any_io_executor executor, Options options, bool sells_cpu);

}  // namespace runtime
