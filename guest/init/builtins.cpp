#include "init/builtins.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <new>
#include <string_view>

#include "init/changes.h"
#include "init/connect.h"
#include "init/status.h"
#include "init/tar_create.h"
#include "init/tar_extract.h"
#include "init/write_all.h"

namespace init {
namespace {

int report(const Status& status) {
    if (status.ok()) return 0;
    tell(STDERR_FILENO, {status.text});
    return 1;
}

int create(char** arguments) {
    return report(create_tar(arguments[0], STDOUT_FILENO, STDERR_FILENO));
}

int extract(char** arguments) {
    return report(extract_tar(arguments[0], arguments[1], STDIN_FILENO, STDERR_FILENO));
}

int changes(char** arguments) {
    return report(write_changes(arguments[0], std::atoi(arguments[1]), std::atoi(arguments[2]), STDOUT_FILENO, STDERR_FILENO));
}

constexpr Builtin kBuiltins[] = {
    {agent::CONNECT, "connect", 1, true, [](char** arguments) { return connect_to(arguments[0]); }},
    {agent::TAR_CREATE, "tar-create", 1, false, create},
    {agent::TAR_EXTRACT, "tar-extract", 2, true, extract},
    {agent::CHANGES, "changes", 1, false, changes},
};

// A descriptor stays open for each of the folders in one another.
void allow_many_files() {
    rlimit files{};
    (void)::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace

const Builtin* find_builtin(agent::Builtin number) {
    for (const Builtin& builtin : kBuiltins) {
        if (builtin.number == number) return &builtin;
    }
    return nullptr;
}

int run_builtin(int argc, char** argv) {
    std::set_new_handler([] { ::_exit(report(failure({"out of memory"}))); });
    for (const Builtin& builtin : kBuiltins) {
        const int arguments = builtin.arguments + (builtin.number == agent::CHANGES ? 2 : 0);
        if (argc != 1 + arguments || std::string_view(builtin.name) != argv[0]) continue;
        ::umask(0);
        allow_many_files();
        return builtin.run(argv + 1);
    }
    return 2;
}

}  // namespace init
