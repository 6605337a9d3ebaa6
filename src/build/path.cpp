#include "build/path.h"

#include <algorithm>
#include <climits>

#include "base/error.h"

namespace build {

std::deque<std::string> split_target(std::string_view target) {
    std::deque<std::string> names;
    for (size_t start = 0; start < target.size();) {
        const size_t end = std::min(target.find('/', start), target.size());
        const std::string_view name = target.substr(start, end - start);
        if (!name.empty() && name != ".") names.emplace_back(name);
        start = end + 1;
    }
    return names;
}

std::deque<std::string> split_path(std::string_view path) {
    if (path.size() >= PATH_MAX) throw base::Error("a path of " + std::to_string(path.size()) + " bytes");
    std::deque<std::string> names;
    for (std::string& name : split_target(path)) {
        if (name.size() > NAME_MAX) throw base::Error("a name of " + std::to_string(name.size()) + " bytes");
        if (name != "..") {
            names.push_back(std::move(name));
        } else if (names.empty()) {
            throw base::Error("it leads out of the image");
        } else {
            names.pop_back();
        }
    }
    return names;
}

}  // namespace build
