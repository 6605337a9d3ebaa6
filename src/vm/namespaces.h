#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/subprocess.h"
#include "vm/allowed.h"

namespace vm {

// Namespaces (namespaces(7)) of a confined program: user, mount, PID, network and IPC. Its root holds what `Allowed` names and a /proc of
// its own, nothing of which it may change but the folders to write in; no other process and no network exists there. Its user and group are
// ours, so files keep their owners. Needs Linux 5.12 and a host where we may make user namespaces.
class Namespaces {
public:
    // Throws base::Error where our own ids cannot be read.
    explicit Namespaces(const Allowed& allowed);

    // For base::Command::namespaces.
    const base::NewNamespaces& start() const { return start_; }

    // In the child, which is the first process of the namespaces; async-signal-safe. Afterwards the working folder is "/". Returns false
    // with errno set.
    bool enter() const;

private:
    struct Mount {
        std::string source;
        std::string target;  // below kStaging
        unsigned long attributes = 0;
    };

    void add(const std::vector<std::filesystem::path>& paths, unsigned long attributes);
    void add_target(const std::filesystem::path& path, bool folder);
    std::vector<Mount> mounts_;
    std::vector<std::string> folders_;  // to make below kStaging, parents first
    std::vector<std::string> files_;    // empty files to make there, on which files are mounted
    base::NewNamespaces start_;
};

}  // namespace vm
