#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <filesystem>

#include "runtime/options.h"
#include "vm/machine.h"

namespace runtime {

// What an accelerator is chosen for: to run a VM, to offer VMs (offer-template), or to find out whether they can be offered (test). A test
// boots a guest under KVM again where none ran the last time: somebody may have mended it.
enum class Purpose { vm, offer, test };

// Chooses the accelerator. Where KVM does not work, `automatic` means software emulation, which is logged with the reason. For an offer and
// a test it is an error instead, as with `kvm`: no provider should sell an emulated CPU by accident. Throws base::Error, also where QEMU or
// a VM's files are missing.
boost::asio::awaitable<vm::Accelerator> choose_accelerator(boost::asio::any_io_executor executor, Options options, Purpose purpose);

}  // namespace runtime
