#include "dbg/vm_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/remove_tree.h"
#include "base/untrusted_text.h"

namespace dbg {
namespace fs = std::filesystem;
namespace {

constexpr size_t kLongestName = 63;
constexpr size_t kLongestBase = 107 - kLongestName - std::string_view("//socket").size();  // of sun_path's 107 characters
constexpr size_t kMaxRecord = 64 << 10;
constexpr const char* kRecord = "vm.json";

bool starts_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool continues_name(char c) {
    return starts_name(c) || c == '_' || c == '.' || c == '-';
}

base::UniqueFd open_folder(const fs::path& path) {
    return base::UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

bool is_ours(const fs::path& path) {
    const base::UniqueFd folder = open_folder(path);
    struct stat status {};
    return folder && ::fstat(folder.get(), &status) == 0 && status.st_uid == ::geteuid();
}

// Makes a folder that is ours alone, or checks that it is.
void make_private(const fs::path& path) {
    if (::mkdir(path.c_str(), 0700) < 0 && errno != EEXIST) base::throw_errno("cannot make ", path);
    const base::UniqueFd folder = open_folder(path);
    if (!folder && (errno == ELOOP || errno == ENOTDIR)) throw base::Error(path.string() + " is no folder: remove it");
    struct stat status {};
    if (!folder || ::fstat(folder.get(), &status) < 0) base::throw_errno("cannot open ", path);
    if (status.st_uid != ::geteuid()) throw base::Error(path.string() + " belongs to another user");
    if ((status.st_mode & 0077) != 0) throw base::Error(path.string() + " is open to other users: chmod 700 it");
}

// Held while folders come and go, so that nobody sees one that is half made or half removed.
base::UniqueFd lock_all(const fs::path& vms) {
    const fs::path path = vms / ".lock";
    base::UniqueFd lock = base::open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    while (::flock(lock.get(), LOCK_EX) < 0) {
        if (errno != EINTR) base::throw_errno("cannot lock ", path);
    }
    return lock;
}

base::UniqueFd try_lock(const fs::path& folder) {
    base::UniqueFd lock = open_folder(folder);
    if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) < 0) lock.reset();
    return lock;
}

Vm read_record(const fs::path& folder) {
    const nlohmann::json json = base::parse_json(base::read_file(folder / kRecord, kMaxRecord));
    try {
        return {.name = folder.filename(),
                .image = json.at("image").get<std::string>(),
                .started = json.at("started").get<std::time_t>(),
                .debugger = json.at("debugger").get<pid_t>(),
                .workdir = json.at("workdir").get<std::string>(),
                .image_fd = json.value("image_fd", -1),
                .temporary_workdir = json.at("temporary_workdir").get<bool>(),
                .folder = folder};
    } catch (const nlohmann::json::exception& e) {
        throw base::Error((folder / kRecord).string() + ": " + e.what());
    }
}

// Removes what a killed debugger has left. The workdir's lock was its, too, so one that is held has a new owner.
void remove_left(const fs::path& folder) {
    try {
        const Vm vm = read_record(folder);
        const base::UniqueFd lock = vm.temporary_workdir && is_ours(vm.workdir) ? try_lock(vm.workdir) : base::UniqueFd();
        if (lock) base::remove_tree(vm.workdir);
    } catch (const base::Error& e) {
        spdlog::warn("{}", e.what());
    }
    try {
        base::remove_tree(folder);
    } catch (const base::Error& e) {
        spdlog::warn("{}", e.what());
    }
}

// Under the lock of lock_all().
std::vector<Vm> sweep(const fs::path& vms) {
    std::vector<fs::path> folders;
    std::error_code error;
    for (auto entry = fs::directory_iterator(vms, error); !error && entry != fs::directory_iterator(); entry.increment(error)) {
        if (is_vm_name(entry->path().filename().native())) folders.push_back(entry->path());
    }
    if (error) throw base::Error("cannot read " + vms.string() + ": " + error.message());
    std::sort(folders.begin(), folders.end());
    std::vector<Vm> running;
    for (const fs::path& folder : folders) {
        if (try_lock(folder)) {
            remove_left(folder);
        } else if (is_ours(folder)) {
            running.push_back(read_record(folder));
        }
    }
    return running;
}

bool is_taken(const std::vector<Vm>& running, const std::string& name) {
    return std::any_of(running.begin(), running.end(), [&name](const Vm& vm) { return vm.name == name; });
}

std::string free_name(const std::vector<Vm>& running, const std::string& wanted) {
    std::string name = wanted;
    for (size_t number = 2; is_taken(running, name); number++) {
        const std::string digits = std::to_string(number);
        name = wanted.substr(0, kLongestName - digits.size() - 1);
        name += '-';
        name += digits;
    }
    return name;
}

}  // namespace

fs::path vms_folder() {
    const char* given = std::getenv("XDG_RUNTIME_DIR");
    fs::path base = given ? fs::path(given) / "gvmkit" : fs::path();
    if (!base.is_absolute() || (base / "vms").native().size() > kLongestBase || !is_ours(given))
        base = "/tmp/gvmkit-" + std::to_string(::geteuid());
    make_private(base);
    make_private(base / "vms");
    return base / "vms";
}

bool is_vm_name(std::string_view name) {
    return !name.empty() && name.size() <= kLongestName && starts_name(name[0]) && std::all_of(name.begin(), name.end(), continues_name);
}

std::string vm_name_for(std::string_view image) {
    while (image.ends_with('/'))
        image.remove_suffix(1);
    image = image.substr(image.rfind('/') + 1);
    image = image.substr(0, image.find_first_of(":@"));
    if (image.ends_with(".gvmi")) image.remove_suffix(std::string_view(".gvmi").size());
    std::string name;
    for (const char c : image) {
        const char low = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        if (name.empty() && !starts_name(low)) continue;
        name += continues_name(low) ? low : '-';
    }
    name.resize(std::min(name.size(), kLongestName));
    return name.empty() ? "vm" : name;
}

VmFolder::VmFolder(const fs::path& vms, Vm vm) : vms_(vms), vm_(std::move(vm)) {
    if (!vm_.name.empty() && !is_vm_name(vm_.name))
        throw base::Error("bad VM name " + base::quote(vm_.name) + ": use up to 63 of a-z, 0-9, '_', '.' and '-', a letter or digit first");
    const base::UniqueFd all = lock_all(vms);
    const std::vector<Vm> running = sweep(vms);
    if (is_taken(running, vm_.name)) throw base::Error("a VM named " + vm_.name + " is running: stop it, or choose another name");
    if (vm_.name.empty()) vm_.name = free_name(running, vm_name_for(vm_.image));
    vm_.image = base::escape(vm_.image);
    vm_.started = std::time(nullptr);
    vm_.debugger = ::getpid();
    vm_.folder = vms / vm_.name;
    if (::mkdir(vm_.folder.c_str(), 0700) < 0) base::throw_errno("cannot make ", vm_.folder);
    lock_ = try_lock(vm_.folder);
    if (!lock_) base::throw_errno("cannot lock ", vm_.folder);
    save();
}

VmFolder::~VmFolder() {
    try {
        const base::UniqueFd all = lock_all(vms_);
        base::remove_tree(vm_.folder);
    } catch (const base::Error& e) {
        spdlog::warn("{}", e.what());
    }
}

void VmFolder::save() const {
    const nlohmann::json json = {{"image", vm_.image},       {"started", vm_.started},
                                 {"debugger", vm_.debugger}, {"workdir", base::escape(vm_.workdir.native())},
                                 {"image_fd", vm_.image_fd}, {"temporary_workdir", vm_.temporary_workdir}};
    base::replace_file(vm_.folder / kRecord, base::to_text(json), 0600);
}

std::vector<Vm> running_vms(const fs::path& vms) {
    const base::UniqueFd all = lock_all(vms);
    return sweep(vms);
}

Vm find_vm(const fs::path& vms, const std::string& name) {
    std::string names;
    for (Vm& vm : running_vms(vms)) {
        if (vm.name == name) return std::move(vm);
        names += (names.empty() ? "; running: " : ", ") + vm.name;
    }
    throw base::Error("no VM is named " + base::quote(name) + (names.empty() ? "; none is running" : names));
}

bool still_runs(const fs::path& vms, const Vm& vm) {
    const std::vector<Vm> running = running_vms(vms);
    return std::any_of(running.begin(), running.end(), [&vm](const Vm& other) {
        return other.name == vm.name && other.debugger == vm.debugger && other.started == vm.started;
    });
}

}  // namespace dbg
