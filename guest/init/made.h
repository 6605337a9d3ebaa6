#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/fd.h"
#include "init/status.h"

namespace init {

// What init itself has put into the root, which is no change of the image.
struct Made {
    std::vector<std::string> volumes;          // the paths that Setup named
    std::map<std::string, std::string> files;  // in /etc: what it wrote, or where the link mtab leads
};

// For the process that compares the root with the image: a file in memory, and what it holds.
Result<base::UniqueFd> file_of(const Made& made);
Result<Made> made_from(int file);

}  // namespace init
