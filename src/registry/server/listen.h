#pragma once

#include <string>

#include "base/fd.h"

namespace registry::server {

// A socket that listens on HOST:PORT or [IPV6]:PORT; port 0 is a free one. Throws base::Error.
base::UniqueFd listen_on(const std::string& address);

// The address of a socket, "127.0.0.1:34567". Throws base::Error.
std::string name_of(int socket);

}  // namespace registry::server
