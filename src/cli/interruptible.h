#pragma once

#include <array>
#include <csignal>

namespace cli {

// While it lives, SIGINT, SIGTERM and SIGHUP become an exception, so that what was half written is removed. A second one ends the program
// at once. One at a time.
class Interruptible {
public:
    Interruptible();
    ~Interruptible();
    Interruptible(const Interruptible&) = delete;
    Interruptible& operator=(const Interruptible&) = delete;

    // Throws base::Error once a signal has come; call it now and then.
    static void check();

private:
    static constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};
    std::array<struct sigaction, kSignals.size()> before_{};
};

}  // namespace cli
