#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/fd.h"
#include "vm/machine.h"

namespace vm {

// Everything that a machine's template depends on, as 64 hex digits: devices, cores, memory and kernel arguments; the state of the kernel,
// initramfs and QEMU files; the host's CPU. Throws base::Error where a file is missing.
std::string template_key(const Machine& machine);

// A folder of templates that one user owns. A VM trusts its template completely, so the folder and its files must belong to our user and be
// writable by nobody else. Files appear complete or not at all.
class TemplateStore {
public:
    // Opens the folder, which is made if it is missing. Throws base::Error, also where others could write to it.
    explicit TemplateStore(std::filesystem::path folder);

    // The template's file, marked as just used; none where there is none that only we can write.
    base::UniqueFd find(const std::string& key) const;

    // A lock for making templates, held until the descriptor is closed; none while another process holds it.
    base::UniqueFd try_lock() const;

    // An empty file without a name, which vanishes with its descriptor. Throws base::Error.
    base::UniqueFd create() const;

    // Gives a file of create() its name. Then it removes the templates that were unused for longest, until the rest takes at most `limit`
    // bytes. Call it under the lock. Throws base::Error.
    void publish(const base::UniqueFd& file, const std::string& key, uint64_t limit) const;

    void remove(const std::string& key) const;

    // Remembers for a day that templates of this kind do not work here.
    void refuse(const std::string& key) const;
    bool is_refused(const std::string& key) const;

private:
    std::filesystem::path folder_;
    base::UniqueFd directory_;
};

}  // namespace vm
