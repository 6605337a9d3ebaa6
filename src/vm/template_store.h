#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/fd.h"
#include "vm/machine.h"

namespace vm {

// What a machine's template must have been made of to serve it, as 64 hex digits: the devices, cores, memory and kernel arguments, and the
// files of kernel, initramfs and QEMU as they are now, and the host's CPU. Throws base::Error where a file is
// missing.
std::string template_key(const Machine& machine);

// A folder of templates that one user owns. A VM trusts its template with everything, so the folder and what is in it must belong to us
// alone: owned by our user, writable by nobody else. Files appear complete, or not at all.
class TemplateStore {
public:
    // Opens the folder, which is made if it is missing. Throws base::Error, also where somebody else could write to it.
    explicit TemplateStore(std::filesystem::path folder);

    // The template's file, marked as just used; none where there is none that is ours alone.
    base::UniqueFd find(const std::string& key) const;

    // The right to make templates, for as long as the descriptor is open; none: another process has it.
    base::UniqueFd try_lock() const;

    // An empty file without a name, which is gone with its descriptor. Throws base::Error.
    base::UniqueFd create() const;

    // Gives a file of create() its name. Then the templates that were not used for the longest time go until the rest takes no more than
    // `limit` bytes. To be called under the lock. Throws base::Error.
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
