#pragma once

#include <chrono>
#include <string>

#include "runtime/host/host.h"
#include "runtime/options.h"

namespace runtime {

// How a self-test went.
struct SelfTestOutcome {
    std::string failure = {};  // empty: it passed
    std::chrono::duration<double> took = {};
};

// A page about this machine and its self-test for a bug report, in lines of "name: value", the last of which is the time line of the VM's
// start. It names no user, home folder or host.
std::string report(const Host& host, const Options& options, const SelfTestOutcome& outcome);

// Puts "~" for a home folder and "USER" for a user's name, where they are whole names. Empty ones are not looked for.
std::string without_names(std::string text, const std::string& home, const std::string& user);

}  // namespace runtime
