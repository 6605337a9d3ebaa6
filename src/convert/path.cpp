#include "convert/path.h"

#include <climits>

#include "base/error.h"
#include "base/path_names.h"

namespace convert {

std::deque<std::string> split_path(std::string_view path) {
    if (path.size() >= PATH_MAX) throw base::Error("a path of " + std::to_string(path.size()) + " bytes");
    std::deque<std::string> names;
    for (std::string& name : base::path_names(path)) {
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

}  // namespace convert
