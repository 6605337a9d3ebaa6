#include "dbg/workdir.h"

#include <cstdlib>
#include <string>
#include <system_error>

#include "base/error.h"

namespace dbg {
namespace fs = std::filesystem;

Workdir::Workdir(const fs::path& wanted) : path_(wanted) {
    if (wanted.empty()) {
        // /var/tmp and not /tmp: the VM's disk may become large, and /tmp may be memory.
        const char* folder = std::getenv("TMPDIR");
        path_ = temporary_.emplace(folder && *folder ? folder : "/var/tmp", "ya-runtime-dbg-").path();
        return;
    }
    std::error_code error;
    fs::create_directories(path_, error);
    if (error) throw base::Error("cannot make the workdir " + path_.string() + ": " + error.message());
}

}  // namespace dbg
