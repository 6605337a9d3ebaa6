#include <sys/stat.h>

#include <algorithm>
#include <sstream>

#include "base/untrusted_text.h"
#include "gvmi/squashfs_tree.h"
#include "lint/rules.h"

namespace lint {
namespace {

constexpr size_t kMaxPasswd = size_t{1} << 20;

bool is_number(const std::string& text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// True when a line of /etc/passwd or /etc/group begins with the name.
bool knows(const Look& look, const char* path, const std::string& name) {
    const auto file = gvmi::find(look.reader, path);
    if (!file || !S_ISREG(file->mode)) return false;
    std::istringstream lines(gvmi::read_start(look.reader, *file, kMaxPasswd));
    for (std::string line; std::getline(lines, line);) {
        if (line.substr(0, line.find(':')) == name) return true;
    }
    return false;
}

void look_at_user(const Look& look) {
    const std::string& user = look.config.user;
    const size_t colon = user.find(':');
    const std::string name = user.substr(0, colon);
    const std::string group = colon == std::string::npos ? "" : user.substr(colon + 1);
    if (!name.empty() && !is_number(name) && !knows(look, "/etc/passwd", name)) {
        look.warn("user", "the user " + base::quote(name) + " is not in /etc/passwd: commands cannot be started",
                  "add the user, or give a number with --user");
    }
    if (!group.empty() && !is_number(group) && !knows(look, "/etc/group", group)) {
        look.warn("user", "the group " + base::quote(group) + " is not in /etc/group: commands cannot be started",
                  "add the group, or give a number with --user");
    }
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
