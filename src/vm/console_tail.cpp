#include "vm/console_tail.h"

#include "base/untrusted_text.h"

namespace vm {
namespace {

constexpr size_t kLimit = 16 << 10;

}  // namespace

void ConsoleTail::append(std::string_view bytes) {
    kept_ += base::printable_lines(bytes);
    // Cuts at twice the limit and not at each byte beyond it, since cutting moves the rest.
    if (kept_.size() > 2 * kLimit) {
        kept_.erase(0, kept_.size() - kLimit);
        cut_ = true;
    }
}

std::string ConsoleTail::text() const {
    const bool cut = cut_ || kept_.size() > kLimit;
    std::string text = kept_.substr(kept_.size() > kLimit ? kept_.size() - kLimit : 0);
    const size_t line_end = text.find('\n');
    if (cut && line_end != std::string::npos) text.erase(0, line_end + 1);
    return text;
}

}  // namespace vm
