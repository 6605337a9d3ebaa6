#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "vm/allowed.h"
#include "vm/landlock.h"
#include "vm/namespaces.h"
#include "vm/syscall_filter.h"

namespace vm {

// ConfinementMode::strict, and this host lacks a part.
class ConfinementError : public base::Error {
public:
    explicit ConfinementError(const std::string& gaps) : base::Error("--confinement strict: this host lacks " + gaps) {}
};

// What a child does to itself before exec: no new privileges, no core file, namespaces, Landlock and a filter of system calls.
class Confinement {
public:
    // `namespaces`: false where the host does not let us make them. Throws base::Error where a part cannot be made.
    Confinement(const Allowed& allowed, bool namespaces);

    // For base::Command::namespaces.
    std::optional<base::NewNamespaces> start() const { return namespaces_ ? std::optional(namespaces_->start()) : std::nullopt; }

    // In the child; async-signal-safe. Returns false with errno set.
    bool enter() const;

    bool has_landlock() const { return landlock_.available(); }

private:
    Landlock landlock_;
    SyscallFilter filter_;
    std::optional<Namespaces> namespaces_;
};

// What this host lacks for the whole of it, for people: "Landlock (…) and namespaces (…)"; empty: nothing. Starts a child to find out; call
// it from the main thread.
std::string confinement_gaps();

// The same as far as it is known: why namespaces cannot be made; empty where they can.
std::string confinement_gaps(bool landlock, const std::string& namespaces);

}  // namespace vm
