// The running VMs of a user: a folder for each, by which other commands find it.
#pragma once

#include <sys/types.h>

#include <ctime>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace dbg {

// What a VM's folder tells of it, in a JSON file.
struct Vm {
    std::string name = {};
    std::string image = {};  // as the command line has it, escaped; empty: deployed before
    std::time_t started = 0;
    pid_t debugger = 0;
    std::filesystem::path workdir = {};
    int image_fd = -1;               // by which the debugger holds the .gvmi open; -1: deployed before
    bool temporary_workdir = false;  // a base::TemporaryFolder, which whoever finds the debugger dead removes
    std::filesystem::path folder = {};

    // The .gvmi, whatever has its name by now; while the debugger lives.
    std::filesystem::path image_file() const { return "/proc/" + std::to_string(debugger) + "/fd/" + std::to_string(image_fd); }
    std::filesystem::path socket() const { return folder / "socket"; }  // of the debug channel; short enough for sun_path
    std::filesystem::path log() const { return folder / "log"; }        // the runtime's stderr
};

// The folder of all running VMs, made if missing: $XDG_RUNTIME_DIR/gvmkit/vms where that folder is ours and its path short enough for
// sockets, else /tmp/gvmkit-UID/vms. Throws base::Error where somebody else owns it or may write to it, or it is a link.
std::filesystem::path vms_folder();

// [a-z0-9][a-z0-9_.-]{0,62}.
bool is_vm_name(std::string_view name);

// A name for a VM of an image: "python" for images/python.gvmi and for docker.io/python:3.12; "vm" where the image gives none.
std::string vm_name_for(std::string_view image);

// A VM's folder while its debugger lives: locked (flock(2)), so a killed debugger is recognised without its pid. The destructor removes it.
class VmFolder {
public:
    // Makes it in `vms`, after removing what killed debuggers have left there. Where `vm.name` is empty it becomes the first free of
    // vm_name_for, NAME-2, NAME-3…; `started` and `debugger` are set to now and this process. Throws base::Error where the name is taken or
    // malformed.
    VmFolder(const std::filesystem::path& vms, Vm vm);
    ~VmFolder();
    VmFolder(const VmFolder&) = delete;
    VmFolder& operator=(const VmFolder&) = delete;

    const Vm& vm() const { return vm_; }

private:
    void save() const;

    std::filesystem::path vms_;
    Vm vm_;
    base::UniqueFd lock_;
};

// All running VMs, sorted by name. Removes what killed debuggers have left: their folders, sockets and temporary workdirs.
std::vector<Vm> running_vms(const std::filesystem::path& vms);

// The running VM of that name. Throws base::Error that names those that run.
Vm find_vm(const std::filesystem::path& vms, const std::string& name);

// Whether its debugger lives; a later VM of that name is another.
bool still_runs(const std::filesystem::path& vms, const Vm& vm);

}  // namespace dbg
