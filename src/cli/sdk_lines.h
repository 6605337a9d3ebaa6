#pragma once

#include <string>

namespace cli {

// Lines that requestor code can take as they are, to refer to an image in a registry (`url`) by its tag, or by its hash where `tag` is
// empty: for yapapi and for golem-js.
std::string sdk_lines(const std::string& url, const std::string& tag, const std::string& sha3);

}  // namespace cli
