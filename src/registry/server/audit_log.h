#pragma once

#include <filesystem>
#include <mutex>
#include <string>

#include "base/fd.h"
#include "registry/server/event.h"

namespace registry::server {

// Writes each event as a line of JSON: to a file, which other processes may write to as well, or to standard output ("-"). Each line is
// written by one call, before the request is answered, so that a kill loses none. Nothing waits for a pipe's reader: what cannot be written
// is counted, and an event "lost" tells of it once lines can be written again.
class AuditLog {
public:
    // Throws base::Error where it cannot be opened.
    explicit AuditLog(std::filesystem::path file);

    void tell(const Event& event);

    // Opens the file by its name again: what it was may have been renamed. Where that fails, it stays open.
    void reopen();

    uint64_t lost();

private:
    void open();
    bool try_write(const std::string& line);

    std::filesystem::path file_;
    std::mutex mutex_;
    base::UniqueFd fd_;
    bool torn_ = false;         // the last line was written in part
    uint64_t lost_ = 0;         // since the start
    uint64_t lost_untold_ = 0;  // of these, those that no event tells of
};

}  // namespace registry::server
