#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "gvmi/squashfs_reader.h"

namespace cli {

// An entry as JSON. Names and targets are escaped (base/untrusted_text.h), the values of attributes in hex.
nlohmann::json describe(const std::string& path, const gvmi::File& file, const gvmi::Attributes& attributes);

}  // namespace cli
