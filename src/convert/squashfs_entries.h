#pragma once

#include <memory>

#include "gvmi/image.h"
#include "oci/entries.h"

namespace convert {

// The files of a stranger's squashfs as a layer's entries: the root ("."), then everything below it, sorted by bytes, a folder before what
// is in it; of hard links the first is the file. Throws base::Error, as the reader of squashfs does, and beyond the limits of its walks.
std::unique_ptr<oci::Entries> open_squashfs(const gvmi::ReadAt& read);

}  // namespace convert
