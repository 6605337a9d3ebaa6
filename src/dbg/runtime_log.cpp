#include "dbg/runtime_log.h"

#include <unistd.h>

#include <algorithm>
#include <span>
#include <string>

#include "dbg/write_out.h"

namespace dbg {
namespace {

constexpr size_t kShownLog = 16 << 10;

}  // namespace

void RuntimeLog::show() const {
    const off_t size = ::lseek(file_.get(), 0, SEEK_END);
    const off_t from = std::max<off_t>(size - static_cast<off_t>(kShownLog), 0);
    std::string text(static_cast<size_t>(size - from), '\0');
    text.resize(base::pread_full(file_.get(), std::as_writable_bytes(std::span(text)), static_cast<uint64_t>(from), "the log"));
    write_out(STDERR_FILENO, text);
}

}  // namespace dbg
