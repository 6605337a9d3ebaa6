#include "vm/landlock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>

#include "base/error.h"

namespace vm {
namespace {

// The kernel's interface, copied here: Debian 12's <linux/landlock.h> ends at the second of its versions ("ABIs").
constexpr long kCreateRuleset = 444;
constexpr long kAddRule = 445;
constexpr long kRestrictSelf = 446;
constexpr uint32_t kAskVersion = 1;
constexpr int kRulePathBeneath = 1;

constexpr uint64_t kExecute = 1 << 0;
constexpr uint64_t kWriteFile = 1 << 1;
constexpr uint64_t kReadFile = 1 << 2;
constexpr uint64_t kReadDir = 1 << 3;
constexpr uint64_t kAllVersion2 = (1 << 14) - 1;  // the above, making and removing each type of file, moving between folders
// Character devices, sockets, FIFOs, block devices, symlinks.
constexpr uint64_t kMakeSpecial = 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;
constexpr uint64_t kTruncate = 1 << 14;     // since version 3
constexpr uint64_t kIoctlDevice = 1 << 15;  // 5
constexpr uint64_t kBindTcp = 1 << 0;       // 4
constexpr uint64_t kConnectTcp = 1 << 1;
constexpr uint64_t kScopeAbstractSockets = 1 << 0;  // 6
constexpr uint64_t kScopeSignals = 1 << 1;

struct RulesetAttributes {
    uint64_t handled_files;
    uint64_t handled_network;
    uint64_t scoped;
};

struct __attribute__((packed)) PathBeneath {
    uint64_t allowed;
    int32_t folder;
};

// 0: none. Version 1 counts as none: it forbids each rename from one folder to another, which programs in a share need.
long landlock_version() {
    const long version = ::syscall(kCreateRuleset, nullptr, 0, kAskVersion);
    return version < 2 ? 0 : version;
}

RulesetAttributes everything(long version) {
    RulesetAttributes handled{.handled_files = kAllVersion2, .handled_network = 0, .scoped = 0};
    if (version >= 3) handled.handled_files |= kTruncate;
    if (version >= 4) handled.handled_network = kBindTcp | kConnectTcp;
    if (version >= 5) handled.handled_files |= kIoctlDevice;
    if (version >= 6) handled.scoped = kScopeAbstractSockets | kScopeSignals;
    return handled;
}

base::UniqueFd create_ruleset(const RulesetAttributes& handled) {
    // An older kernel takes the longer structure too if the part that it does not know is zero.
    const base::UniqueFd low(static_cast<int>(::syscall(kCreateRuleset, &handled, sizeof handled, 0)));
    if (!low) base::throw_errno("cannot make a Landlock ruleset");
    return base::copy_of(low, base::kBeyondChildren);
}

void allow(int rules, const std::vector<std::filesystem::path>& paths, uint64_t access) {
    // Rights that only folders have are an error on a file.
    constexpr uint64_t kOfFiles = kExecute | kWriteFile | kReadFile | kTruncate | kIoctlDevice;
    for (const std::filesystem::path& path : paths) {
        const base::UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
        if (!fd && (errno == ENOENT || errno == ENOTDIR)) continue;
        struct stat status {};
        if (!fd || ::fstat(fd.get(), &status) < 0) base::throw_errno("cannot open ", path);
        const PathBeneath rule{.allowed = S_ISDIR(status.st_mode) ? access : access & kOfFiles, .folder = fd.get()};
        if (::syscall(kAddRule, rules, kRulePathBeneath, &rule, 0) < 0) base::throw_errno("cannot allow ", path, " by Landlock");
    }
}

}  // namespace

Landlock::Landlock(const Allowed& allowed) {
    const long version = landlock_version();
    if (version == 0) return;
    const RulesetAttributes handled = everything(version);
    rules_ = create_ruleset(handled);
    allow(rules_.get(), allowed.execute, kExecute | kReadFile);
    allow(rules_.get(), allowed.read, kReadFile | kReadDir);
    allow(rules_.get(), allowed.read_write, handled.handled_files & ~kExecute & ~kIoctlDevice & ~kMakeSpecial);
    allow(rules_.get(), allowed.devices, handled.handled_files & (kReadFile | kWriteFile | kIoctlDevice));
}

bool Landlock::enter() const {
    return !rules_ || ::syscall(kRestrictSelf, rules_.get(), 0) == 0;
}

}  // namespace vm
