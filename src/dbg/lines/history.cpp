#include "dbg/lines/history.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/folders.h"

namespace dbg {
namespace fs = std::filesystem;
namespace {

constexpr mode_t kOwnerOnly = 0600;

std::string encoded(std::string_view entry) {
    std::string line;
    for (const char c : entry) {
        if (c == '\\') line += "\\\\";
        if (c == '\n') line += "\\n";
        if (c != '\\' && c != '\n') line += c;
    }
    return line + '\n';
}

std::string decoded(std::string_view line) {
    std::string entry;
    for (size_t i = 0; i < line.size(); i++) {
        const bool escape = line[i] == '\\' && i + 1 < line.size();
        if (escape) i++;
        entry += escape && line[i] == 'n' ? '\n' : line[i];
    }
    return entry;
}

void make_folder(const fs::path& folder) {
    std::error_code error;
    fs::create_directories(folder.parent_path(), error);
    if (::mkdir(folder.c_str(), S_IRWXU) < 0 && errno != EEXIST) base::throw_errno("cannot make the folder ", folder);
}

// The file, locked. Another process may put a shorter one in its place while we wait for the lock; then that one counts.
base::UniqueFd open_locked(const fs::path& file) {
    for (;;) {
        base::UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, kOwnerOnly));
        struct stat ours {};
        struct stat named {};
        if (!fd || ::flock(fd.get(), LOCK_EX) < 0 || ::fstat(fd.get(), &ours) < 0) base::throw_errno("cannot open the history ", file);
        if (!S_ISREG(ours.st_mode)) throw base::Error("the history " + file.string() + " is no file");
        if (::stat(file.c_str(), &named) < 0 || named.st_ino != ours.st_ino || named.st_dev != ours.st_dev) continue;
        if ((ours.st_mode & 0777) != kOwnerOnly && ::fchmod(fd.get(), kOwnerOnly) < 0)
            base::throw_errno("cannot protect the history ", file);
        return fd;
    }
}

// The newest entries of a text, at most half of kMaxHistory.
std::string_view newest_half(std::string_view text) {
    if (text.size() <= kMaxHistory / 2) return text;
    const size_t begin = text.find('\n', text.size() - kMaxHistory / 2);
    return begin == std::string_view::npos ? std::string_view() : text.substr(begin + 1);
}

// All of it, or what it had at its end where it is longer than ours ever get.
std::string content_of(int fd, uint64_t size) {
    constexpr uint64_t kLongest = 2 * kMaxHistory;
    const uint64_t from = size > kLongest ? size - kLongest : 0;
    std::string text(static_cast<size_t>(size - from), '\0');
    text.resize(base::pread_full(fd, std::as_writable_bytes(std::span(text)), from, "the history"));
    return text;
}

}  // namespace

fs::path history_file() {
    const fs::path folder = base::user_state_folder();
    return folder.empty() ? folder : folder / "gvmkit/dbg_history";
}

std::vector<std::string> read_history(const fs::path& file) {
    const base::UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat st {};
    if (!fd || ::fstat(fd.get(), &st) < 0 || !S_ISREG(st.st_mode)) return {};
    const std::string text = content_of(fd.get(), static_cast<uint64_t>(st.st_size));
    std::vector<std::string> entries;
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = text.find('\n', begin);
        if (end == std::string::npos) break;  // is being written
        if (end > begin) entries.push_back(decoded(std::string_view(text).substr(begin, end - begin)));
        begin = end + 1;
    }
    return entries;
}

void append_history(const fs::path& file, std::string_view entry) {
    const bool blank_first = entry.empty() || entry[0] == ' ' || entry[0] == '\t';
    if (blank_first || entry.size() > kMaxEntry) return;
    make_folder(file.parent_path());
    const base::UniqueFd fd = open_locked(file);
    const std::string line = encoded(entry);
    struct stat st {};
    if (::fstat(fd.get(), &st) < 0) base::throw_errno("cannot look at the history ", file);
    const auto size = static_cast<uint64_t>(st.st_size);
    if (size + line.size() <= kMaxHistory) {
        base::write_all(fd.get(), line, "the history");
        return;
    }
    const std::string text = content_of(fd.get(), size);
    base::replace_file(fs::canonical(file), std::string(newest_half(text)) + line, kOwnerOnly);
}

}  // namespace dbg
