#include "runtime/guest_log.h"

#include "base/error.h"
#include "base/log.h"

namespace runtime {

void GuestLog::write(std::string_view text) {
    try {
        file_.write(text);
    } catch (const base::Error& e) {  // perhaps only for a while, such as a full disk
        if (!failed_) spdlog::warn("some of the guest's output is not kept: {}", e.what());
        failed_ = true;
    }
}

}  // namespace runtime
