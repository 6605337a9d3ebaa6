#pragma once

#include <string>

namespace http {

// Whether what is sent to a URL can be read on the way: http, to a host other than this machine (localhost, 127.0.0.0/8, ::1). Throws
// base::Error where it is no URL.
bool is_sent_in_clear(const std::string& url);

}  // namespace http
