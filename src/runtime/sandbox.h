#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <vector>

#include "gvmi/image.h"
#include "runtime/deployment.h"
#include "runtime/guest.h"
#include "runtime/network/links.h"
#include "runtime/options.h"
#include "runtime/thin_images.h"
#include "runtime/volumes/mapped_entry.h"

namespace runtime {

// The parts of a running sandbox.
struct SandboxPlan {
    Options options;
    Deployment deployment;
    vm::Accelerator accelerator = vm::Accelerator::kvm;
    std::vector<Link> links = {};
};

// A VM with the image's root and all volumes mounted, ready for processes.
struct Sandbox {
    std::unique_ptr<ThinImages> thin;  // outlives the guest; set before the start
    std::unique_ptr<Guest> guest;
    gvmi::Config config;                // of the topmost image
    bool restored = false;              // from a template
    std::vector<agent::Step> steps;     // of the guest's setup
    std::vector<base::UniqueFd> disks;  // those that the VM writes to
    GuestOwner user;                    // the image's User
};

// Starts the VM of a deployment, from a template where there is one, and sets it up. `guest` becomes the VM as soon as it exists, so that
// it can be ended meanwhile. The root's disk is unlinked from the workdir: it goes with the VM, and its space returns to the host however
// we end. Throws base::Error, whose text a requestor understands.
boost::asio::awaitable<void> start_sandbox(boost::asio::any_io_executor executor, const SandboxPlan& plan, GuestEvents events,
                                           Sandbox& sandbox);

// Logs where the time of the start went, if --timings asks for it; only the first call does.
void log_timings(const Sandbox& sandbox);

// Ends the processes (SIGTERM, `grace`, SIGKILL), syncs what outlives the VM, and ends it, all within `limit`.
boost::asio::awaitable<void> stop_sandbox(Sandbox& sandbox, std::chrono::milliseconds grace, std::chrono::milliseconds limit);

}  // namespace runtime
