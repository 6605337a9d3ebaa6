#include "convert/budget.h"

#include "base/error.h"
#include "base/size.h"

namespace convert {
namespace {

// Whether `amount` could be taken off.
bool take_off(uint64_t& left, uint64_t amount) {
    if (amount > left) return false;
    left -= amount;
    return true;
}

}  // namespace

void Budget::take(const oci::TarEntry& entry) {
    uint64_t attributes = 0;
    for (const auto& [name, value] : entry.attributes)
        attributes += name.size() + value.size();
    take_folder();
    if (!take_off(left_.data_bytes, entry.size)) {
        throw base::Error("the image has more than " + base::format_size(limits_.data_bytes) + " of files, holes included (--limit-gib)");
    }
    if (!take_off(left_.name_bytes, entry.path.size() + entry.target.size()))
        throw base::Error("the image has more than " + base::format_size(limits_.name_bytes) + " of paths");
    if (!take_off(left_.attribute_bytes, attributes))
        throw base::Error("the image has more than " + base::format_size(limits_.attribute_bytes) + " of extended attributes");
}

void Budget::take_folder() {
    if (!take_off(left_.entries, 1))
        throw base::Error("the image has more than " + std::to_string(limits_.entries) + " files and folders in its layers");
}

void Budget::follow(const std::string& target) {
    if (!take_off(left_.link_bytes, target.size()))
        throw base::Error("the image's paths lead through more than " + base::format_size(limits_.link_bytes) + " of symbolic links");
}

}  // namespace convert
