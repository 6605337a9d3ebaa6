#pragma once

#include "registry/server/postgres.h"

namespace registry::server::postgres {

// Makes the tables of a new data base, or brings those of an older gvmkit-registry up to date, in one transaction. Of several programs that
// start at once one does it, and the others wait for it. Throws base::Error where the data base is a newer gvmkit-registry's.
void prepare_schema(Connection& connection);

}  // namespace registry::server::postgres
