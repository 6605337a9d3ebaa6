#include "dbg/copy/copy_place.h"

namespace dbg {

CopyPlace parse_copy_place(const std::string& text) {
    const size_t colon = text.find(':');
    const bool local = text.starts_with('/') || text.starts_with('.') || colon == std::string::npos || colon == 0;
    if (local) return {.vm = {}, .path = text};
    std::string path = text.substr(colon + 1);
    if (!path.starts_with('/')) path.insert(0, 1, '/');
    return {.vm = text.substr(0, colon), .path = path};
}

SourceName source_name(std::string_view path) {
    bool folder = false;
    while (path.size() > 1 && path.ends_with('/')) {
        path.remove_suffix(1);
        folder = true;
    }
    const std::string_view last = path.substr(path.rfind('/') + 1);
    if (last.empty() || last == "." || last == "..") return {.path = std::string(path), .name = {}, .folder = true};
    return {.path = std::string(path), .name = std::string(last), .folder = folder};
}

std::string content_of(const std::string& path) {
    if (path.ends_with("/.")) return path;
    return path + (path.ends_with('/') ? "." : "/.");
}

}  // namespace dbg
