#include "base/temporary_folder.h"

#include <cstdlib>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "base/remove_tree.h"

namespace base {

TemporaryFolder::TemporaryFolder(const std::filesystem::path& parent, const char* prefix) {
    std::string path = (parent / prefix).string() + "XXXXXX";
    if (!::mkdtemp(path.data())) throw_errno("cannot make a folder in ", parent);
    path_ = path;
}

TemporaryFolder::~TemporaryFolder() {
    try {
        remove_tree(path_);
    } catch (const Error& e) {
        spdlog::warn("{}", e.what());
    }
}

}  // namespace base
