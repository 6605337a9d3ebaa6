#pragma once

#include <map>
#include <string>
#include <vector>

#include "init/status.h"

namespace init {

// Replaces /etc/hosts, /etc/hostname and /etc/resolv.conf (docs/spec/guest.md), symbolic links of the image included, and links /etc/mtab
// to /proc/mounts where the image has none. Returns why some could not be made; the VM starts nevertheless.
// `files` gets what was written, by name, and where the link leads.
std::vector<std::string> write_etc_files(int root, const std::string& hostname, std::map<std::string, std::string>& files);

// Adds "address name" lines to /etc/hosts, and to that of `files`.
Status add_hosts(const std::map<std::string, std::string>& hosts, std::map<std::string, std::string>& files);

}  // namespace init
