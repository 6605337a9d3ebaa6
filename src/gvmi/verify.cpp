#include "gvmi/verify.h"

#include <sys/stat.h>

#include "base/error.h"
#include "base/untrusted_text.h"

namespace gvmi {

void Budget::take(const FileData::Block& block) {
    constexpr uint64_t kHole = 1024;
    const uint64_t cost = block.bytes.empty() ? kHole : block.bytes.size();
    if (cost > left_) throw base::Error("more data than the limit allows");
    left_ -= cost;
}

Verified verify(SquashfsReader& reader, const Limits& limits) {
    Verified result;
    Budget budget(limits.bytes);
    const auto visit = [&](const std::string& path, const File& file) {
        base::with_context(base::quote(path), [&] {
            result.entries++;
            (void)reader.attributes(file);
            if (!S_ISREG(file.mode)) return;
            FileData data(reader, file);
            for (auto block = data.next(); block.size > 0; block = data.next()) {
                budget.take(block);
                result.bytes += block.bytes.size();
            }
        });
    };
    walk(reader, limits, {visit});
    return result;
}

}  // namespace gvmi
