#pragma once

#include <filesystem>

namespace http {

// The file of the certificate authorities that this system trusts: the first that is there of the places where Debian, Fedora, SUSE and
// Alpine have theirs, below `root`; empty where there is none.
std::filesystem::path certificate_authorities(const std::filesystem::path& root = "/");

}  // namespace http
