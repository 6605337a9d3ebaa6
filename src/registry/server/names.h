#pragma once

#include <string>
#include <string_view>

#include "registry/server/records.h"

namespace registry::server {

// A user's, repository's or tag's name: 1 to 128 ASCII letters, digits, - _ and ., and not only dots. Throws HttpError 400; `what` is for
// its message.
void check_name(std::string_view name, std::string_view what);

// "user/repository:tag", tag "latest" where there is none. Throws HttpError 400.
Name parse_name(const std::string& text);

// "user/repository", and with a tag ":tag"
std::string full_name(const Name& name);

// Text as HTML has it, in an element or in a quoted attribute.
std::string escape_html(std::string_view text);

}  // namespace registry::server
