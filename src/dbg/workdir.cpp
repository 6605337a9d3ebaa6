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
        if (!folder || !*folder) folder = fs::is_directory("/var/tmp") ? "/var/tmp" : "/tmp";
        path_ = temporary_.emplace(folder, "ya-runtime-dbg-").path();
        return;
    }
    std::error_code error;
    fs::create_directories(path_, error);
    if (error) throw base::Error("cannot make the workdir " + path_.string() + ": " + error.message());
}

}  // namespace dbg
