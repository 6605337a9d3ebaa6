#include "runtime/temporary_folder.h"

#include <cstdlib>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "runtime/remove_tree.h"

namespace runtime {

TemporaryFolder::TemporaryFolder(const std::filesystem::path& parent) {
    std::string path = (parent / "ya-runtime-vm-XXXXXX").string();
    if (!::mkdtemp(path.data())) base::throw_errno("cannot make a folder in " + parent.string());
    path_ = path;
}

TemporaryFolder::~TemporaryFolder() {
    try {
        remove_tree(path_);
    } catch (const base::Error& e) {
        spdlog::warn("{}", e.what());
    }
}

}  // namespace runtime
