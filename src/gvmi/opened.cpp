#include "gvmi/opened.h"

#include <fcntl.h>

#include "base/error.h"

namespace gvmi {

// Non-blocking: a FIFO by that name must not block us.
Opened::Opened(const std::string& name)
    : path(name),
      fd(base::open_file(name, O_RDONLY | O_NONBLOCK)),
      image(read_image(fd.get(), name)),
      reader(base::with_context(name, [this] { return SquashfsReader(fd.get()); })) {}

}  // namespace gvmi
