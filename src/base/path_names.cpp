#include "base/path_names.h"

#include <algorithm>

namespace base {

std::deque<std::string> path_names(std::string_view path) {
    std::deque<std::string> names;
    for (size_t start = 0; start < path.size();) {
        const size_t end = std::min(path.find('/', start), path.size());
        const std::string_view name = path.substr(start, end - start);
        if (!name.empty() && name != ".") names.emplace_back(name);
        start = end + 1;
    }
    return names;
}

}  // namespace base
