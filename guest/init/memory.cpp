#include "init/memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "init/output.h"

namespace init {
namespace {

constexpr int kErrorLevel = 3;  // KERN_ERR

template <typename Number>
Number leading_number(std::string_view text) {
    Number value = 0;
    (void)std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

// The kernel counts an OOM kill before it sends the signal, and logs it only afterwards.
uint64_t kills(int vmstat) {
    char text[16 << 10];
    const ssize_t size = ::pread(vmstat, text, sizeof text, 0);
    if (size <= 0) return 0;
    constexpr std::string_view kKey = "\noom_kill ";
    const std::string_view all(text, static_cast<size_t>(size));
    const size_t at = all.find(kKey);
    return at == std::string_view::npos ? 0 : leading_number<uint64_t>(all.substr(at + kKey.size()));
}

}  // namespace

pid_t killed_process(std::string_view line) {
    constexpr std::string_view kWords = "Killed process ";
    const size_t at = line.find(kWords);
    return at == std::string_view::npos ? 0 : leading_number<pid_t>(line.substr(at + kWords.size()));
}

Memory::Memory(Port& port)
    : port_(port), kmsg_(::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)), vmstat_(::open("/proc/vmstat", O_RDONLY | O_CLOEXEC)) {
    if (!kmsg_ || !vmstat_) fatal("cannot open /dev/kmsg or /proc/vmstat");
    (void)::lseek(kmsg_.get(), 0, SEEK_END);
    counted_ = kills(vmstat_.get());
}

void Memory::read() {
    char record[8192];
    for (;;) {
        const ssize_t n = ::read(kmsg_.get(), record, sizeof record);
        if (n < 0 && (errno == EPIPE || errno == EINTR)) continue;  // EPIPE: records were overwritten; the next read continues after them
        if (n <= 0) return;
        line({record, static_cast<size_t>(n)});
    }
}

// A record is "priority,sequence,time,flags;text\n" and lines of properties. The priority includes the facility: 0 is the kernel, and no
// program can write as it.
void Memory::line(std::string_view record) {
    const int priority = leading_number<int>(record);
    const size_t begin = record.find(';');
    if (begin == std::string_view::npos || priority > kErrorLevel) return;
    const std::string_view text = record.substr(begin + 1, record.find('\n') - begin - 1);
    if (const pid_t pid = killed_process(text); pid != 0) {
        counted_++;
        pids_.insert(pid);
        if (pids_.size() > 1024) pids_.erase(pids_.begin());
    }
    log(port_, cat({"kernel: ", text}));
}

bool Memory::killed(pid_t pid) {
    read();
    if (pids_.erase(pid) > 0) return true;
    // A counted kill without a line so far must be this one.
    return kills(vmstat_.get()) > counted_;
}

}  // namespace init
