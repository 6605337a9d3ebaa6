#include "init/write_all.h"

#include <unistd.h>

#include <cerrno>

#include "init/status.h"

namespace init {

bool write_all(int fd, std::string_view data) {
    while (!data.empty()) {
        const ssize_t n = ::write(fd, data.data(), data.size());
        if (n < 0 && errno != EINTR) return false;
        if (n > 0) data.remove_prefix(static_cast<size_t>(n));
    }
    return true;
}

void tell(int fd, std::initializer_list<std::string_view> words) {
    (void)write_all(fd, cat({cat(words), "\n"}));
}

}  // namespace init
