#pragma once

#include <string>

#include "dbg/outbound/access.h"

namespace dbg {

// What --outbound says: "all", or the file of a payload manifest, whose names are resolved. Throws base::Error where a provider would
// refuse the manifest (its form, its times), or a name has no address.
outbound::Access outbound_access(const std::string& option);

}  // namespace dbg
