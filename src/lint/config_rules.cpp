#include <sys/stat.h>

#include "base/untrusted_text.h"
#include "container/users.h"
#include "gvmi/squashfs_tree.h"
#include "lint/look.h"

namespace lint {
namespace {

std::string text_of(const Look& look, const char* path) {
    const auto file = gvmi::find(look.reader, path);
    return file && S_ISREG(file->mode) ? gvmi::read_start(look.reader, *file, container::kMaxUserFile) : "";
}

void look_at_user(const Look& look) {
    const container::UserLookup lookup = container::find_user(look.config.user, text_of(look, "/etc/passwd"), text_of(look, "/etc/group"));
    if (lookup.error.empty()) return;
    look.warn("user", "the user " + base::quote(look.config.user) + ": " + base::escape_line(lookup.error) + ": commands cannot be started",
              "correct the file, or give a number with --user");
}

bool has(const Look& look, const char* key) {
    const auto found = look.config.json.find(key);
    return found != look.config.json.end() && !found->is_null() && !found->empty();
}

}  // namespace

void look_at_config(const Look& look) {
    if (look.config.volumes.empty()) {
        look.warn("no-volume", "the image has no volume, so no files can be transferred to and from the VM",
                  "add VOLUME /golem/work to the Dockerfile, or --vol /golem/work");
    }
    const auto shell = gvmi::find(look.reader, "/bin/sh");
    if (!shell || !S_ISREG(shell->mode)) {
        look.warn("no-shell", "there is no /bin/sh: commands that need a shell cannot run",
                  "add a shell, such as busybox, or run programs by their paths");
    }
    look_at_user(look);
    const std::string& folder = look.config.working_dir;
    if (!folder.empty()) {
        const auto found = gvmi::find(look.reader, folder);
        if (!found)
            look.note("working-dir", "the working directory " + base::quote(folder) + " does not exist; the VM makes it, owned by root",
                      "");
        if (found && !S_ISDIR(found->mode)) {
            look.warn("working-dir", "the working directory " + base::quote(folder) + " is not a directory: commands cannot be started",
                      "correct WORKDIR");
        }
    }
    if (!look.config.entrypoint.empty()) {
        look.note("entrypoint",
                  "the entrypoint runs only where the requestor starts the VM with start-entrypoint; commands do not go through it", "");
    }
    if (has(look, "Healthcheck")) look.note("healthcheck", "HEALTHCHECK has no effect in a VM", "");
    if (has(look, "ExposedPorts")) look.note("expose", "EXPOSE has no effect in a VM; the VPN reaches every port", "");
}

}  // namespace lint
