#include "init/status.h"

#include <fcntl.h>
#include <sys/reboot.h>
#include <unistd.h>

#include <cstring>

namespace init {
namespace {

int kmsg = -1;

}  // namespace

std::string cat(std::initializer_list<std::string_view> words) {
    size_t size = 0;
    for (const std::string_view word : words)
        size += word.size();
    std::string text;
    text.reserve(size);
    for (const std::string_view word : words)
        text.append(word);
    return text;
}

Status failure(int error_number, std::initializer_list<std::string_view> words) {
    const char* reason = ::strerrordesc_np(error_number);
    return {cat({cat(words), ": ", reason != nullptr ? reason : "unknown error"})};
}

Status failure(std::initializer_list<std::string_view> words) {
    return {cat(words)};
}

Status bad_request(std::initializer_list<std::string_view> words) {
    return {cat(words), agent::Error::BAD_REQUEST};
}

void open_console() {
    kmsg = ::open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
}

void console(std::string_view text) {
    const std::string line = cat({"<2>gvmkit init: ", text, "\n"});  // 2: shown despite "quiet"
    (void)!::write(kmsg, line.data(), line.size());
}

void fatal(std::string_view text) {
    console(cat({"fatal: ", text}));
    ::reboot(RB_AUTOBOOT);
    for (;;)
        ::pause();
}

}  // namespace init
