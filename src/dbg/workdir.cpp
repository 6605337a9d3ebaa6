#include "dbg/workdir.h"

#include <cstdlib>
#include <string>
#include <system_error>

#include "base/error.h"
#include "base/log.h"
#include "base/remove_tree.h"

namespace dbg {
namespace fs = std::filesystem;

Workdir::Workdir(const fs::path& wanted) : path_(wanted), temporary_(wanted.empty()) {
    if (temporary_) {
        // /var/tmp and not /tmp: the VM's disk may become large, and /tmp may be memory.
        const char* folder = std::getenv("TMPDIR");
        std::string name = folder && *folder ? folder : "/var/tmp";
        name += "/ya-runtime-dbg-XXXXXX";
        if (!::mkdtemp(name.data())) base::throw_errno("cannot make a temporary folder " + name);
        path_ = name;
        return;
    }
    std::error_code error;
    fs::create_directories(path_, error);
    if (error) throw base::Error("cannot make the workdir " + path_.string() + ": " + error.message());
}

Workdir::~Workdir() {
    if (!temporary_) return;
    try {
        base::remove_tree(path_);
    } catch (const base::Error& e) {
        spdlog::warn("the temporary folder stays: {}", e.what());
    }
}

}  // namespace dbg
