#pragma once

#include <string>
#include <string_view>

namespace self_test {

// The first GPU below `root` (/proc and /sys of a VM, and the libraries of a driver) as one JSON object with the keys of GAP-35 (docs/spec/
// exe-unit.md); empty where there is no GPU. `smi` is what `nvidia-smi -q` prints, and `capability` what it prints of the field
// compute_cap; empty: it is not there. What is not known is not in the object.
std::string describe_gpu(const std::string& root, std::string_view smi, std::string_view capability);

}  // namespace self_test
