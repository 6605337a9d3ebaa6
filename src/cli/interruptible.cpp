#include "cli/interruptible.h"

#include <cstddef>

#include "base/error.h"

namespace cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;

}  // namespace

Interruptible::Interruptible() {
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = 1; };
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    for (size_t i = 0; i < kSignals.size(); i++)
        (void)::sigaction(kSignals[i], &action, &before_[i]);
}

Interruptible::~Interruptible() {
    for (size_t i = 0; i < kSignals.size(); i++)
        (void)::sigaction(kSignals[i], &before_[i], nullptr);
}

void Interruptible::check() {
    if (interrupted != 0) throw base::Error("interrupted");
}

}  // namespace cli
