#include "registry/server/audit_log.h"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "registry/server/folder_owner.h"

namespace registry::server {
namespace {

constexpr mode_t kMode = 0640;  // who may read it is told in whose names people sign in, and from where

std::string line_of(const Event& event) {
    nlohmann::ordered_json json = {{"time", event_time()}, {"event", event.name}};
    json.update(event.details);
    return event_line(json) + "\n";
}

}  // namespace

AuditLog::AuditLog(std::filesystem::path file) : file_(std::move(file)) {
    open();
}

void AuditLog::open() {
    if (file_ == "-") {
        fd_ = base::UniqueFd(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
        return;
    }
    std::error_code error;
    const bool is_new = !std::filesystem::exists(file_, error) && !error;
    // A named pipe without a reader is an error then, and a full one does not block.
    fd_ = base::open_file(file_, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, kMode);
    if (is_new) give_to_owner_of_folder(std::filesystem::absolute(file_));
}

void AuditLog::reopen() {
    const std::lock_guard lock(mutex_);
    try {
        if (file_ != "-") open();
    } catch (const base::Error& e) {
        spdlog::error("the audit log stays in the file that it was in: {}", e.what());
    }
}

uint64_t AuditLog::lost() {
    const std::lock_guard lock(mutex_);
    return lost_;
}

void AuditLog::tell(const Event& event) {
    const std::string line = line_of(event);
    const std::lock_guard lock(mutex_);
    if (lost_untold_ > 0 && try_write(line_of({.name = "lost", .details = {{"count", lost_untold_}}}))) {
        spdlog::info("the audit log can be written again; {} events are missing in it", lost_untold_);
        lost_untold_ = 0;
    }
    if (lost_untold_ == 0 && try_write(line)) return;
    if (lost_untold_ == 0) spdlog::error("cannot write the audit log {}: {}", file_.native(), base::errno_text(errno));
    lost_++;
    lost_untold_++;
}

// All of a line, or false with errno.
bool AuditLog::try_write(const std::string& line) {
    // Standard output is not ours alone, so it stays as it is and is asked first: a pipe then takes PIPE_BUF bytes. No line has more: one
    // text of an event may need escapes, the others are names, hashes and addresses.
    pollfd ready{.fd = fd_.get(), .events = POLLOUT, .revents = 0};
    if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) {
        errno = (ready.revents & POLLERR) != 0 ? EPIPE : EAGAIN;
        return false;
    }
    const std::string text = std::string(torn_ ? "\n" : "").append(line);
    ssize_t written = 0;
    do {
        written = ::write(fd_.get(), text.data(), text.size());
    } while (written < 0 && errno == EINTR);
    if (written == static_cast<ssize_t>(text.size())) {
        torn_ = false;
        return true;
    }
    if (written > 0) {
        torn_ = true;
        errno = ENOSPC;
    }
    return false;
}

}  // namespace registry::server
